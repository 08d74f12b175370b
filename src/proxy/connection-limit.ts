/**
 * Bun sends at most 256 requests at a time unless its environment says more when the process
 * starts; setting the variable later does nothing. So a process that is to proxy starts
 * itself anew, in place: same process id, same standard streams.
 *
 * @module
 */

const VARIABLE = "BUN_CONFIG_MAX_HTTP_REQUESTS";
/** The most that Bun takes. */
const MOST = "65535";
/** Where the modules of a compiled executable seem to lie; its argv names one of them. */
const INSIDE_EXECUTABLE = "/$bunfs/";

/**
 * Call before anything is opened. Returns where the limit is already set (by the owner too,
 * whose word counts) or where the platform has no `execve` (Windows); else the process
 * begins again from its start, and this call does not return.
 */
export function raiseConnectionLimit(): void {
  if (process.env[VARIABLE] !== undefined || process.execve === undefined) return;
  const isExecutable = Bun.main.startsWith(INSIDE_EXECUTABLE);
  const words = isExecutable
    ? [process.execPath, ...process.argv.slice(2)]
    : [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, words, { ...process.env, [VARIABLE]: MOST });
}

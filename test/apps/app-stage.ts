/**
 * A real application behind the executable: the application as a process of its own, the gate in
 * front of it, and a token for its client.
 *
 * @module
 */

import { developmentToken, type RunningServe, serve, until } from "../e2e/claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** For starting everything that a file needs. */
export const STAGE_LIMIT_MS = 60_000;
export const TEST_LIMIT_MS = 30_000;

const APP_LIMIT_MS = 20_000;
const LAST_OUTPUT = 4_000;

export type App = AsyncDisposable & {
  /** The end of what it has said so far, on both streams. */
  readonly output: () => string;
};

/**
 * @param isUp Asked again and again until it is true.
 * @throws Error with what the program said when it ends, or is not up in time.
 */
export async function startApp(
  command: readonly string[],
  options: {
    readonly cwd: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly isUp: () => boolean | Promise<boolean>;
  },
): Promise<App> {
  const child = Bun.spawn([...command], {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output = (output + decoder.decode(chunk, { stream: true })).slice(-LAST_OUTPUT);
    }
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  const end = async () => {
    // nginx and npm take their own children with them when asked, not when killed.
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 3_000);
    await child.exited;
    clearTimeout(late);
    await Promise.race([reading, Bun.sleep(1_000)]);
  };
  try {
    await until(command[0] ?? "", APP_LIMIT_MS, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return options.isUp();
    });
  } catch (error) {
    await end();
    throw new Error(`Cannot start ${command.join(" ")}:\n${output}`, { cause: error });
  }
  return { output: () => output, [Symbol.asyncDispose]: end };
}

/** Whether anything answers there, whatever it says. */
export function answers(url: string): () => Promise<boolean> {
  return async () => {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    return answer !== undefined;
  };
}

export type AppGate = AsyncDisposable & {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** Alice's, a member of staff. */
  readonly token: string;
  readonly serve: RunningServe;
  /** Where its claimgate.yaml lies; absolute. */
  readonly folder: string;
};

/**
 * @param config Of claimgate.yaml, what stands beside the address and the issuer.
 * @param files Besides, such as policies.
 */
export async function startAppGate(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<AppGate> {
  const folder = await tempFolder({
    ...files,
    "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
${config}`,
  });
  const gate = await serve([], { folder: folder.path });
  const token = await developmentToken(folder.path, "--sub", "alice", "--claim", "roles=staff");
  return {
    origin: gate.urls[0],
    token,
    serve: gate,
    folder: folder.path,
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Ends in the order in which they were added, the last first, those too that come after a fault. */
export async function endAll(things: readonly (AsyncDisposable | undefined)[]): Promise<void> {
  for (const thing of things.toReversed()) await thing?.[Symbol.asyncDispose]();
}

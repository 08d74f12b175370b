/**
 * The compiled executable, run as a user would run it: commands to their end, and `serve` with
 * its log.
 *
 * @module
 */
import { compiledExecutable } from "../support/executable.ts";

type RunOptions = {
  /** The folder a user would stand in; absolute. */
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
};

export type Ended = {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
};

export type LogLine = Readonly<Record<string, unknown>>;

export type RunningServe = AsyncDisposable & {
  /** Of each listener, as the log tells it: `http://127.0.0.1:34447`, `unix:/path`. */
  readonly urls: readonly [string, ...string[]];
  readonly pid: number;
  /** The log so far: the lines of stderr that are JSON objects. */
  readonly log: readonly LogLine[];
  /** All of stderr so far. */
  readonly stderr: () => string;
  /** @returns The first line, past or to come, that fits; bounded by time. */
  readonly waitForLog: (fits: (line: LogLine) => boolean) => Promise<LogLine>;
  readonly signal: (name: "SIGTERM" | "SIGINT" | "SIGHUP") => void;
  /** Resolves when it has ended by itself or by a signal; rejects when it does not. */
  readonly ended: () => Promise<number>;
};

/** Longer than any command takes that ends by itself. */
const RUN_LIMIT_MS = 30_000;
const START_LIMIT_MS = 15_000;
const LOG_LIMIT_MS = 5_000;
const END_LIMIT_MS = 15_000;
const POLL_MS = 20;

export async function run(args: readonly string[], options: RunOptions): Promise<Ended> {
  const child = Bun.spawn([await compiledExecutable(), ...args], {
    cwd: options.folder,
    env: { ...process.env, NO_COLOR: "1", ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: RUN_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const [out, err, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, out, err };
}

/** @returns A token of the development issuer of that folder. */
export async function developmentToken(folder: string, ...args: string[]): Promise<string> {
  const { exitCode, out, err } = await run(["token", ...args], { folder });
  if (exitCode !== 0) throw new Error(`Cannot make a token: ${err}`);
  return out.trim();
}

/**
 * @param args After `serve`; the folder's claimgate.yaml counts where they name nothing else.
 * @throws Error with all of stderr when it ends, or does not listen in time.
 */
export async function serve(args: readonly string[], options: RunOptions): Promise<RunningServe> {
  const child = Bun.spawn([await compiledExecutable(), "serve", ...args], {
    cwd: options.folder,
    env: { ...process.env, NO_COLOR: "1", ...options.environment },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const log: LogLine[] = [];
  let text = "";
  const reading = readLines(child.stderr, (line) => {
    text += `${line}\n`;
    if (line.startsWith("{")) log.push(JSON.parse(line));
  });

  const waitForLog = async (fits: (line: LogLine) => boolean): Promise<LogLine> => {
    await until("the line in the log", LOG_LIMIT_MS, () => log.some(fits)).catch((error) => {
      throw new Error(`${error.message}:\n${text}`);
    });
    const line = log.find(fits);
    if (line === undefined) throw new Error("the log has lost a line");
    return line;
  };
  const ended = async (): Promise<number> => {
    const late = () => {
      throw new Error(`The gate does not end:\n${text}`);
    };
    const exitCode = await Promise.race([child.exited, Bun.sleep(END_LIMIT_MS).then(late)]);
    await reading;
    return exitCode;
  };
  const end = async () => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await child.exited;
  };

  const listening = () => log.filter((line) => line.event === "listening");
  const isUp = () => listening().length > 0 || child.exitCode !== null;
  await until("a gate that listens", START_LIMIT_MS, isUp).catch(() => undefined);
  const [first, ...more] = listening().map((line) => String(line.url));
  if (first === undefined) {
    await end();
    throw new Error(`Cannot start the gate, it ended with ${child.exitCode}:\n${text}`);
  }
  return {
    urls: [first, ...more],
    pid: child.pid,
    log,
    stderr: () => text,
    waitForLog,
    signal: (name) => child.kill(name),
    ended,
    [Symbol.asyncDispose]: end,
  };
}

/** @throws Error that names `what` when it has not come true in time. */
export async function until(
  what: string,
  limitMs: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`Cannot see ${what} within ${limitMs} ms`);
    await Bun.sleep(POLL_MS);
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}

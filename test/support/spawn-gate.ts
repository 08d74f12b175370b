/**
 * The gate as a process of its own, in a folder of its own.
 *
 * @module
 */
import { claimgateCommand } from "./executable.ts";
import { freePort } from "./free-port.ts";
import { type TempFolder, tempFolder } from "./temp-folder.ts";

export type GateOptions = {
  /** claimgate.yaml without `listen:`, which is put before it; or all of it, for a port. */
  readonly config: string | ((port: number) => string);
  /** More files: name below the folder, text. `policies/staff.ts`, … */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** What starts claimgate; the executable under test, else the source, when left out. */
  readonly command?: readonly string[];
  /** Set when the gate serves TLS: how our own requests to `/ready` meet it. */
  readonly tls?: BunFetchRequestInitTLS;
};

export type SpawnedGate = AsyncDisposable & {
  /** Without a final slash: `http://127.0.0.1:21234` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly folder: TempFolder;
  /** The log so far: the lines of stderr that are JSON objects. */
  readonly log: readonly LogLine[];
  /** All of stderr so far. */
  readonly stderr: () => string;
  /** @returns The first line, past or to come, that fits; bounded by time. */
  waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine>;
  /** Asks it to end (SIGTERM), and makes it end when it does not. @returns Its exit code. */
  stop(): Promise<number>;
};

export type LogLine = Readonly<Record<string, unknown>>;

const READY_LIMIT_MS = 15_000;
const LOG_LIMIT_MS = 5_000;
const STOP_LIMIT_MS = 15_000;
const LAST_WORDS_MS = 1_000;
const POLL_MS = 10;

/** @throws Error with all of stderr when it ends, or is not ready in time. */
export async function spawnGate(options: GateOptions): Promise<SpawnedGate> {
  const port = freePort();
  const { config } = options;
  const yaml = typeof config === "string" ? `listen: 127.0.0.1:${port}\n${config}` : config(port);
  const folder = await tempFolder({ "claimgate.yaml": yaml, ...options.files });
  const child = Bun.spawn([...(options.command ?? claimgateCommand()), "serve"], {
    cwd: folder.path,
    env: { ...process.env, NO_COLOR: "1", ...options.environment },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const { log, stderr, ended } = collect(child.stderr);
  const url = `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;

  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    const exitCode = await child.exited;
    clearTimeout(timer);
    // Its last words; not for ever, since a child it left behind may hold the pipe open.
    await Promise.race([ended, Bun.sleep(LAST_WORDS_MS)]);
    return exitCode;
  };
  const gate: SpawnedGate = {
    url,
    port,
    pid: child.pid,
    folder,
    log,
    stderr,
    stop,
    async waitForLog(fits) {
      for (let waited = 0; waited < LOG_LIMIT_MS; waited += POLL_MS) {
        const line = log.find(fits);
        if (line !== undefined) return line;
        await Bun.sleep(POLL_MS);
      }
      throw new Error(`Cannot find the line in the log:\n${stderr()}`);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await folder[Symbol.asyncDispose]();
    },
  };
  const init = options.tls === undefined ? {} : { tls: options.tls };
  for (let waited = 0; waited < READY_LIMIT_MS && child.exitCode === null; waited += POLL_MS) {
    if (await isReady(`${url}/.claimgate/ready`, init)) return gate;
    await Bun.sleep(POLL_MS);
  }
  await gate[Symbol.asyncDispose]();
  throw new Error(`Cannot start the gate, it ended with ${child.exitCode}:\n${stderr()}`);
}

async function isReady(url: string, init: BunFetchRequestInit): Promise<boolean> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(1_000) });
    return answer.status === 200;
  } catch {
    return false; // not listening yet
  }
}

/** Reads on for as long as the stream lasts. */
function collect(stream: ReadableStream<Uint8Array>): {
  readonly log: readonly LogLine[];
  readonly stderr: () => string;
  readonly ended: Promise<void>;
} {
  const log: LogLine[] = [];
  const decoder = new TextDecoder();
  let text = "";
  let rest = "";
  const read = async () => {
    for await (const chunk of stream) {
      const part = decoder.decode(chunk, { stream: true });
      text += part;
      const lines = (rest + part).split("\n");
      rest = lines.pop() ?? "";
      log.push(...lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)));
    }
  };
  return { log, stderr: () => text, ended: read() };
}

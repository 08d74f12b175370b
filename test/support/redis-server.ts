/**
 * Debian's redis-server as a process of its own: in memory, on loopback, on a free port.
 *
 * @module
 */
import { RedisClient } from "bun";
import { freePort } from "./free-port.ts";
import { findProgram } from "./packages.ts";

export type RedisServer = AsyncDisposable & {
  /** `redis://127.0.0.1:21234` */
  readonly url: string;
  readonly port: number;
  /** @returns What the server answers, by a connection of its own. */
  ask(command: string, ...args: readonly string[]): Promise<unknown>;
  /** As a `kill -9` or a crash would: all that it held is gone. */
  kill(): Promise<void>;
  /** On the same port, empty. */
  restart(): Promise<void>;
  /** Answers nothing and keeps its connections, until `resume`. */
  pause(): void;
  resume(): void;
};

const READY_LIMIT_MS = 10_000;
const POLL_MS = 10;

/**
 * @param args More options of redis-server, such as `--maxmemory 2mb`.
 * @param url How `ask` and the wait for its start reach it; by default without a password.
 * @throws Error with the server's own words when it does not start.
 */
export async function startRedis(
  args: readonly string[] = [],
  url: (port: number) => string = (port) => `redis://127.0.0.1:${port}`,
): Promise<RedisServer> {
  const program = findProgram("redis-server");
  if (program === undefined) throw new Error("redis-server is not installed");
  const port = freePort();
  const start = () => {
    const usual = ["--port", String(port), "--bind", "127.0.0.1", "--save", ""];
    return Bun.spawn([program, ...usual, "--appendonly", "no", ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      cwd: "/",
    });
  };
  let child = start();

  async function ask(command: string, ...rest: readonly string[]): Promise<unknown> {
    const client = new RedisClient(url(port), { autoReconnect: false, connectionTimeout: 1_000 });
    try {
      await client.connect();
      return await client.send(command, [...rest]);
    } finally {
      client.close();
    }
  }

  async function waitUntilReady(): Promise<void> {
    for (let waited = 0; waited < READY_LIMIT_MS && child.exitCode === null; waited += POLL_MS) {
      const answer = await ask("PING").catch(() => undefined); // not listening yet
      if (answer === "PONG") return;
      await Bun.sleep(POLL_MS);
    }
    child.kill("SIGKILL");
    throw new Error(`Cannot start redis-server:\n${await child.stdout.text()}`);
  }

  async function kill(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
  }

  await waitUntilReady();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    ask,
    kill,
    async restart() {
      await kill();
      child = start();
      await waitUntilReady();
    },
    pause: () => process.kill(child.pid, "SIGSTOP"),
    resume: () => process.kill(child.pid, "SIGCONT"),
    [Symbol.asyncDispose]: kill,
  };
}

/**
 * One worker's process, from its supervisor's side.
 *
 * @module
 */
import { type Answers, type Line, openLine } from "./line.ts";
import { BEAT_MS, type Facts, type Orders, type ToSupervisor, type ToWorker } from "./words.ts";

export type Child = {
  readonly pid: number;
  readonly line: Line<ToWorker>;
  /** Resolves when it listens; to `undefined` when it has ended before. */
  readonly listening: Promise<Facts | undefined>;
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** Not judged by its silence while the work lasts: reading policies takes its time. */
  whileBusy<T>(work: Promise<T>): Promise<T>;
  kill(): void;
};

export type ChildOptions = {
  readonly words: readonly string[];
  readonly orders: Orders;
  /** Whole lines of its stderr, without the last line end. */
  readonly onText: (text: string) => void;
  readonly onSilent: () => void;
  /** How long it may say nothing once it listens, or while it is busy. */
  readonly silenceMs: () => number;
  readonly answers: Pick<Answers<ToSupervisor>, "reload" | "count" | "take">;
};

/** Starting and reloading load policies, check their types and run their cases. */
const BUSY_MS = 60_000;

export function startChild(options: ChildOptions): Child {
  const { words, orders, onText, onSilent, silenceMs, answers } = options;
  const listening = Promise.withResolvers<Facts | undefined>();
  let beatsMissed = 0;
  let busy = 1;
  const line = openLine<ToWorker, ToSupervisor>(send, {
    hello: () => orders,
    listening(facts) {
      busy -= 1;
      listening.resolve(facts);
      return null;
    },
    beat: () => null,
    ...answers,
  });
  function send(message: object): void {
    try {
      child.send(message);
    } catch {
      line.close(); // it has closed its end, and is about to go
    }
  }
  const child = Bun.spawn([...words], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
    serialization: "advanced",
    ipc(message) {
      beatsMissed = 0;
      line.receive(message);
    },
  });

  // Counted in beats of this process, not by the clock: when the whole machine stood still,
  // nobody was silent.
  const watch = setInterval(() => {
    beatsMissed += 1;
    if (beatsMissed * BEAT_MS > (busy > 0 ? BUSY_MS : silenceMs())) {
      beatsMissed = 0;
      onSilent();
      child.kill("SIGKILL");
    }
  }, BEAT_MS);

  const reading = passLines(child.stderr, onText);
  async function untilEnded(): Promise<number | string> {
    const code = await child.exited;
    clearInterval(watch);
    line.close();
    listening.resolve(undefined);
    await reading;
    return child.signalCode ?? code;
  }
  return {
    pid: child.pid,
    line,
    listening: listening.promise,
    ended: untilEnded(),
    async whileBusy(work) {
      busy += 1;
      return work.finally(() => {
        busy -= 1;
        beatsMissed = 0;
      });
    },
    kill: () => child.kill("SIGKILL"),
  };
}

const LINE_END = 10;
/** A line that is longer goes in pieces. */
const LONGEST_LINE_BYTES = 1024 * 1024;

/** What several processes write to one pipe must not run together within a line. */
async function passLines(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
): Promise<void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    const all = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    const end = all.lastIndexOf(LINE_END);
    if (end >= 0) onText(all.toString("utf8", 0, end));
    rest = all.subarray(end + 1);
    if (rest.length > LONGEST_LINE_BYTES) {
      onText(rest.toString());
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) onText(rest.toString());
}

/** How this very program is started with other words. */
export function ownCommand(words: readonly string[]): string[] {
  const isExecutable = Bun.main.startsWith("/$bunfs/");
  return isExecutable
    ? [process.execPath, ...words]
    : [process.execPath, ...process.execArgv, Bun.main, ...words];
}

/**
 * The audit as JSON lines in a file, for those who ship logs: the same bodies that the store
 * keeps, without the chain. The store is what counts: a file that cannot be written is told,
 * tried again, and ends nothing.
 *
 * Lines are appended whole, each batch at once, and are synced to the disk (fdatasync) at most
 * a second later, at a rotation and at the end: a `kill -9` costs nothing that was appended, a
 * power cut a second at most.
 *
 * @module
 */
import type { Stats } from "node:fs";
import { type FileHandle, open, rename, stat } from "node:fs/promises";

type AuditFile = {
  /** @param lines Whole lines, with their line ends. */
  write(lines: string): void;
  /** Resolves when everything written so far is in the file, or an attempt at it has failed. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

type AuditFileOptions = {
  /** Absolute; `undefined` for none. Read at each batch, so that a reload can change it. */
  readonly path: () => string | undefined;
  /** Told once when it cannot be written, and once when it can be again. */
  readonly warn: (message: string) => void;
  /** A file that would grow over this is put aside as `.1`, and what was `.1` as `.2`. */
  readonly rotateBytes?: number;
  readonly retryMs?: number;
};

const ROTATE_BYTES = 100 * 1024 * 1024;
/** Files put aside: `.1`, the newest, to `.5`. */
const KEPT = 5;
const SYNC_MS = 1_000;
const RETRY_MS = 5_000;
/** What waits for a file that cannot be written; of more, the oldest stays out of the file. */
const BACKLOG_BYTES = 16 * 1024 * 1024;

type OpenFile = { readonly path: string; readonly handle: FileHandle; size: number };

export function openAuditFile(options: AuditFileOptions): AuditFile {
  const { path: pathNow, warn, rotateBytes = ROTATE_BYTES, retryMs = RETRY_MS } = options;
  let backlog: Buffer[] = [];
  let backlogBytes = 0;
  let leftOut = 0;
  let file: OpenFile | undefined;
  let failure: string | undefined;
  let draining: Promise<void> | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let syncTimer: ReturnType<typeof setTimeout> | undefined;

  function write(lines: string): void {
    if (lines === "" || pathNow() === undefined) return;
    const chunk = Buffer.from(lines);
    backlog.push(chunk);
    backlogBytes += chunk.length;
    while (backlogBytes > BACKLOG_BYTES && backlog.length > 1) {
      const oldest = backlog.shift();
      leftOut += countLines(oldest);
      backlogBytes -= oldest?.length ?? 0;
    }
    if (failure === undefined) void startDraining();
  }

  function startDraining(): Promise<void> {
    clearTimeout(retryTimer);
    draining ??= drain()
      .then(onWritten, onFailure)
      .finally(() => {
        draining = undefined;
      });
    return draining;
  }

  async function drain(): Promise<void> {
    for (let chunk = backlog[0]; chunk !== undefined; chunk = backlog[0]) {
      const path = pathNow();
      if (path === undefined) {
        [backlog, backlogBytes] = [[], 0];
        return;
      }
      file = await openForChunk(path, chunk.length);
      const done = await append(file, chunk);
      // While this was being written, the oldest may have been given up.
      const at = backlog.indexOf(chunk);
      if (at >= 0) {
        backlogBytes -= done.bytes;
        if (done.bytes === chunk.length) backlog.splice(at, 1);
        else backlog[at] = chunk.subarray(done.bytes);
      }
      if (done.fault !== undefined) throw done.fault;
      syncSoon();
    }
  }

  /** The file as it is by that name now: others rotate it, too, or take it away. */
  async function openForChunk(path: string, bytes: number): Promise<OpenFile> {
    const there = await stat(path).catch(() => undefined);
    if (file !== undefined && (file.path !== path || !(await isSame(file, there)))) await letGo();
    const size = there?.isFile() ? there.size : 0;
    if (size > 0 && size + bytes > rotateBytes) {
      await letGo();
      await rotate(path);
    }
    if (file === undefined) return await openAt(path);
    file.size = size;
    return file;
  }

  function syncSoon(): void {
    syncTimer ??= setTimeout(() => {
      syncTimer = undefined;
      // One that has been let go of meanwhile was synced then.
      const synced = file;
      synced?.handle.datasync().catch((fault) => (file === synced ? onFailure(fault) : undefined));
    }, SYNC_MS);
  }

  async function letGo(): Promise<void> {
    const former = file;
    file = undefined;
    if (former === undefined) return;
    try {
      await former.handle.datasync();
    } finally {
      await former.handle.close();
    }
  }

  function onWritten(): void {
    if (failure === undefined) return;
    const missing = leftOut === 0 ? "" : `; ${leftOut} records are in the store alone`;
    warn(`the audit file is written again${missing}`);
    [failure, leftOut] = [undefined, 0];
  }

  async function onFailure(fault: unknown): Promise<void> {
    // Whatever else it says is about a file that has been told of already.
    await Promise.allSettled([letGo()]);
    if (failure === undefined) {
      const code = fault instanceof Error && "code" in fault ? String(fault.code) : "failed";
      warn(`the audit file cannot be written (${code}); the store has the records`);
    }
    failure = "told";
    retryTimer = setTimeout(startDraining, retryMs);
    retryTimer.unref();
  }

  async function flush(): Promise<void> {
    // What was added meanwhile is part of the run under way, but for its last moment.
    await draining;
    if (backlog.length > 0) await startDraining();
  }

  return {
    write,
    flush,
    async close() {
      await flush();
      clearTimeout(syncTimer);
      await letGo().catch(onFailure);
      clearTimeout(retryTimer);
    },
  };
}

const NEW_LINE = 10;

async function openAt(path: string): Promise<OpenFile> {
  const handle = await open(path, "a+", 0o600);
  try {
    const stats = await handle.stat();
    // It may have been there before, with a mode of its owner's habits.
    if (stats.isFile() && (stats.mode & 0o077) !== 0) await handle.chmod(0o600);
    // The end of a line that a full disk or a crash has cut must not be joined with ours.
    const isTorn = stats.isFile() && stats.size > 0 && !(await endsLine(handle, stats.size));
    if (isTorn) await handle.write("\n");
    return { path, handle, size: isTorn ? stats.size + 1 : stats.size };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

async function endsLine(handle: FileHandle, size: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] === NEW_LINE;
}

async function isSame({ handle }: OpenFile, there: Stats | undefined): Promise<boolean> {
  const ours = await handle.stat();
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

/** Puts the file aside as `.1`; the oldest of those kept goes. */
async function rotate(path: string): Promise<void> {
  for (let number = KEPT; number >= 1; number -= 1) {
    const from = number === 1 ? path : `${path}.${number - 1}`;
    await rename(from, `${path}.${number}`).catch((cause: unknown) => {
      // Not so many have been put aside yet.
      if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause;
    });
  }
}

type Appended = {
  /** Whole lines that need not be written again. */
  readonly bytes: number;
  readonly fault?: unknown;
};

async function append({ handle, size }: OpenFile, chunk: Buffer): Promise<Appended> {
  let done = 0;
  try {
    while (done < chunk.length) done += (await handle.write(chunk, done)).bytesWritten;
    return { bytes: done };
  } catch (fault) {
    const whole = done === 0 ? 0 : chunk.lastIndexOf(NEW_LINE, done - 1) + 1;
    if (whole < done) {
      // Takes the beginning of a line back, unless somebody else has written after it.
      const now = await handle.stat();
      if (now.isFile() && now.size === size + done) await handle.truncate(size + whole);
    }
    return { bytes: whole, fault };
  }
}

function countLines(chunk: Buffer | undefined): number {
  let lines = 0;
  for (const byte of chunk ?? []) if (byte === NEW_LINE) lines += 1;
  return lines;
}

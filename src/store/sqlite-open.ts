/**
 * Opens the SQLite file: made for its owner alone, believed only when it is ours, refused
 * untouched when it is damaged or newer. Runs in the Worker.
 *
 * @module
 */
import { Database } from "bun:sqlite";
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { isTrustedOwner } from "../lib/owner.ts";
import { damaged, isBusy, storeFault, unavailable } from "./sqlite-fault.ts";
import { APPLICATION_ID, migrate, SCHEMA_VERSION, versionOf } from "./sqlite-schema.ts";

/** How long an operation waits for another process before it gives up; nothing but the Worker waits. */
const BUSY_TIMEOUT_MS = 2_000;
const BUSY_PAUSE_MS = 10;

/** The smallest page: SQLite takes what is shorter for an empty database, and writes over it. */
const SMALLEST_BYTES = 512;

/** Up to this size every page is checked at the start (1 ms a MB); a larger file as it is read. */
const CHECKED_WHOLE_BYTES = 4 * 1024 * 1024;

export type OpenFile = {
  readonly database: Database;
  /** Throws GateError `store_unavailable` when the path no longer leads to the file we have open. */
  readonly checkPlace: () => void;
};

/**
 * @param file Absolute; its folder is made if need be.
 * @throws GateError `store_unavailable`, `store_damaged`
 */
export function openFile(file: string): OpenFile {
  try {
    makePrivately(file);
    // SQLite does not always wait by itself where two processes begin together.
    return retryWhileBusy(() => {
      inspect(file);
      return openInspected(file);
    });
  } catch (error) {
    throw storeFault(file, error);
  }
}

/** SQLite gives `-wal` and `-shm` the mode of the file itself. */
function makePrivately(file: string): void {
  const walBytes = statIfThere(`${file}-wal`)?.size ?? 0;
  const there = statIfThere(file);
  if (walBytes > 0 && (there?.size ?? 0) === 0) {
    // SQLite would take the log for a stale one and remove it, with all that it still holds.
    throw damaged(file, `it is gone or empty but its ${basename(file)}-wal is there; restore both`);
  }
  if (there === undefined) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600));
  }
  const { uid } = statSync(file);
  if (!isTrustedOwner(uid, statSync(dirname(file)).uid)) {
    throw unavailable(file, "it belongs to another user; move it away or take it over with chown");
  }
  accessSync(file, constants.W_OK);
  accessSync(dirname(file), constants.W_OK);
  for (const name of [file, `${file}-wal`, `${file}-shm`]) closeToOthers(name);
}

function closeToOthers(file: string): void {
  const mode = process.platform === "win32" ? undefined : statIfThere(file)?.mode;
  if (mode !== undefined && (mode & 0o077) !== 0) chmodSync(file, 0o600);
}

/**
 * Reads and changes nothing. With a log of another run at hand, only a connection that cannot
 * write leaves file and log as they are: the other kind merges them when it is closed.
 */
function inspect(file: string): void {
  const { size } = statSync(file);
  if (size === 0) return;
  if (size < SMALLEST_BYTES) {
    throw damaged(file, "it is not an SQLite database; nothing was changed in it");
  }
  const hasLog = (statIfThere(`${file}-wal`)?.size ?? 0) > 0;
  const database = new Database(file, hasLog ? { readonly: true } : { readwrite: true });
  try {
    database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // One view of it all: another process may just be making it.
    database.transaction(() => judge(file, size, database))();
  } finally {
    database.close();
  }
}

/** @throws GateError `store_damaged` when it is not ours, newer than we know, or corrupted (if it is small enough to be checked whole). */
export function judge(file: string, size: number, database: Database): void {
  const version = versionOf(database);
  if (!isOurs(database, version)) {
    throw damaged(file, "it is another program's database; nothing was changed in it");
  }
  if (version > SCHEMA_VERSION) throw newer(file, version);
  if (size > CHECKED_WHOLE_BYTES) return;
  const check = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
  if (check?.quick_check !== "ok") {
    throw damaged(file, "its contents are corrupted; nothing was changed in it; restore a backup");
  }
}

/** An empty one becomes ours. */
function isOurs(database: Database, version: number): boolean {
  const id = database.query<{ application_id: number }, []>("PRAGMA application_id").get();
  if (id?.application_id === APPLICATION_ID) return true;
  if (id?.application_id !== 0 || version !== 0) return false;
  return database.query("SELECT 1 FROM sqlite_schema LIMIT 1").get() === null;
}

function newer(file: string, version: number): Error {
  const versions = `its schema is version ${version}, and this claimgate knows up to ${SCHEMA_VERSION}`;
  return damaged(file, `${versions}; use the newer claimgate; nothing was changed in it`);
}

function openInspected(file: string): OpenFile {
  const database = new Database(file, { readwrite: true, strict: true });
  try {
    configure(database);
    if (!migrate(database)) throw newer(file, versionOf(database));
    return { database, checkPlace: placeCheck(file) };
  } catch (error) {
    database.close();
    throw error;
  }
}

function configure(database: Database): void {
  database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  database.run("PRAGMA journal_mode = WAL");
  // Each commit is on the disk before it is reported: neither kill -9 nor a power cut undoes what
  // append() or revoke() resolved for. NORMAL would keep all through a kill, but a power cut
  // could undo everything since the last checkpoint, hours of a quiet gate's revocations. The
  // cost is one fsync a batch, and only the Worker waits for it.
  database.run("PRAGMA synchronous = FULL");
  database.run("PRAGMA fullfsync = ON"); // macOS: fsync alone stops at the drive's cache
  database.run("PRAGMA checkpoint_fullfsync = ON");
  database.run("PRAGMA journal_size_limit = 16777216"); // a log that a slow reader made grow
  database.run("PRAGMA temp_store = MEMORY"); // no copies in a folder that others can read
  database.run("PRAGMA trusted_schema = OFF");
  database.run("PRAGMA cell_size_check = ON"); // finds a corrupted page where it is read
}

function retryWhileBusy<T>(work: () => T): T {
  const end = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
    }
    Bun.sleepSync(BUSY_PAUSE_MS);
  }
}

/**
 * A file that was removed or replaced goes on working for whoever has it open, and nobody else
 * sees what is written: no revocation would come through. To open the new one could mix it with
 * the log that other gates still have, so the store is lost until a restart.
 */
function placeCheck(file: string): () => void {
  const opened = statSync(file);
  return () => {
    const now = statIfThere(file);
    if (now?.ino !== opened.ino || now.dev !== opened.dev) {
      throw unavailable(file, "it was removed or replaced while in use; restart the gate");
    }
  };
}

function statIfThere(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false });
}

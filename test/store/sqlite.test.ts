import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, readFileSync, statSync } from "node:fs";
import { mkdir, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { faultOf, record, revocation, testStore } from "./contract.ts";

const now = () => 2_000;
const isRoot = process.getuid?.() === 0;

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "no fault",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

/** A folder with a store that was used and closed. */
async function usedStore(): Promise<TempFolder & { readonly file: string }> {
  const folder = await tempFolder();
  const file = join(folder.path, "claimgate.db");
  const store = await openSqliteStore(file, { now });
  await store.append(Array.from({ length: 200 }, (_, at) => record("a", at + 1)));
  await store.revoke(revocation());
  await store.close();
  return { ...folder, file };
}

/** @returns What it printed; it has to end by itself. */
async function runScript(script: string): Promise<{ out: string; code: number | string }> {
  const path = JSON.stringify(join(import.meta.dir, "../../src/store/sqlite.ts"));
  const text = `import { openSqliteStore } from ${path};\nconst now = Date.now;\n${script}`;
  const child = Bun.spawn([process.execPath, "-e", text], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { out: out + err, code: child.signalCode ?? child.exitCode ?? -1 };
}

describe("the contract on SQLite", () => {
  testStore(async () => {
    const folder = await tempFolder();
    const file = join(folder.path, "claimgate.db");
    return {
      open: (clock) => openSqliteStore(file, { now: clock }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  });
});

describe("the file", () => {
  test("appears by itself, with its folder, for its owner alone", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "state/claimgate.db");
    const before = process.umask(0);
    const store = await openSqliteStore(file, { now }).finally(() => process.umask(before));
    await store.append([record("a", 1)]);
    expect(["", "-wal", "-shm"].map((end) => modeOf(file + end))).toEqual(["600", "600", "600"]);
    expect(modeOf(join(folder.path, "state"))).toBe("700");
    await store.close();
  });

  test("that others could read is closed to them", async () => {
    await using folder = await usedStore();
    chmodSync(folder.file, 0o644);
    const store = await openSqliteStore(folder.file, { now });
    await store.append([record("b", 1)]);
    expect(["", "-wal", "-shm"].map((end) => modeOf(folder.file + end))).toEqual([
      "600",
      "600",
      "600",
    ]);
    await store.close();
  });

  test("stands alone once it is closed", async () => {
    await using folder = await usedStore();
    expect(await Array.fromAsync(new Bun.Glob("*").scan(folder.path))).toEqual(["claimgate.db"]);
  });

  test.skipIf(!isRoot)("of another user is not believed (needs root)", async () => {
    await using folder = await usedStore();
    chownSync(folder.file, 65_534, 65_534);
    expect(await messageOf(openSqliteStore(folder.file, { now }))).toContain("another user");
    // Whoever owns the folder has the last word anyway.
    chownSync(folder.path, 65_534, 65_534);
    await (await openSqliteStore(folder.file, { now })).close();
  });
});

describe("what is no store of ours is refused and left as it was:", () => {
  /** Both the code and every byte matter. */
  async function refuses(file: string, message: string): Promise<void> {
    const ends = ["", "-wal"];
    const read = (end: string) => (statIfThere(file + end) ? readFileSync(file + end) : undefined);
    const before = ends.map(read);
    expect(await messageOf(openSqliteStore(file, { now }))).toContain(message);
    expect(await faultOf(openSqliteStore(file, { now }))).toBe("store_damaged");
    expect(ends.map(read)).toEqual(before);
  }
  const statIfThere = (file: string) => statSync(file, { throwIfNoEntry: false });

  test("a newer schema", async () => {
    await using folder = await usedStore();
    const database = new Database(folder.file);
    database.run("PRAGMA user_version = 99");
    database.close();
    await refuses(folder.file, "its schema is version 99, and this claimgate knows up to 2");
  });

  test("a newer schema that is still in the log", async () => {
    await using folder = await usedStore();
    const database = new Database(folder.file);
    database.run("PRAGMA user_version = 99");
    const copy = join(folder.path, "copy.db");
    await Bun.write(copy, Bun.file(folder.file));
    await Bun.write(`${copy}-wal`, Bun.file(`${folder.file}-wal`));
    database.close();
    expect(readFileSync(copy).readUInt32BE(60)).toBe(2);
    await refuses(copy, "its schema is version 99");
  });

  test("text", async () => {
    await using folder = await tempFolder({ "claimgate.db": "not a database, ".repeat(200) });
    await refuses(join(folder.path, "claimgate.db"), "it is not an SQLite database");
  });

  test.each([1, 100, 511, 512, 4_096])("%i bytes", async (size) => {
    await using folder = await tempFolder({ "claimgate.db": "x".repeat(size) });
    await refuses(join(folder.path, "claimgate.db"), "it is not an SQLite database");
  });

  test.each([2, 4, 9, 18])("a page %i that was overwritten", async (page) => {
    await using folder = await usedStore();
    const bytes = readFileSync(folder.file);
    crypto.getRandomValues(bytes.subarray((page - 1) * 4_096, page * 4_096));
    await Bun.write(folder.file, bytes);
    await refuses(folder.file, "its contents are corrupted");
  });

  test("a file that was cut off", async () => {
    await using folder = await usedStore();
    await truncate(folder.file, 3 * 4_096);
    await refuses(folder.file, "its contents are corrupted");
  });

  test("another program's database", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "theirs.db");
    const database = new Database(file);
    database.run("CREATE TABLE orders (id INTEGER)");
    database.close();
    await refuses(file, "it is another program's database");
  });

  test("a log whose database is gone", async () => {
    await using folder = await usedStore();
    await Bun.write(`${folder.file}-wal`, "what was not merged yet");
    await truncate(folder.file, 0);
    await refuses(folder.file, "restore both");
  });
});

describe("a store that fails", () => {
  test("locked by another process: a fault after two seconds, and well again after it", async () => {
    await using folder = await usedStore();
    const store = await openSqliteStore(folder.file, { now });
    const other = new Database(folder.file);
    other.run("BEGIN IMMEDIATE");
    const [fault, reading] = await Promise.all([
      messageOf(store.append([record("b", 1)])),
      messageOf(store.find({ limit: 1 })),
    ]);
    expect(fault).toContain("another process keeps it locked");
    expect(reading).toBe("no fault");
    other.run("COMMIT");
    other.close();
    await store.append([record("b", 1)]);
    expect(await store.find({ limit: 1, sinceMs: 0 })).toHaveLength(1);
    await store.close();
  });

  test("locked wholly at the start: a fault", async () => {
    await using folder = await usedStore();
    const other = new Database(folder.file);
    other.run("PRAGMA locking_mode = EXCLUSIVE");
    other.run("BEGIN EXCLUSIVE");
    expect(await faultOf(openSqliteStore(folder.file, { now }))).toBe("store_unavailable");
    other.close();
    await (await openSqliteStore(folder.file, { now })).close();
  });

  test.each(["removed", "replaced"])("%s while in use: a fault, not a lost write", async (how) => {
    await using folder = await usedStore();
    await using other = await usedStore();
    const store = await openSqliteStore(folder.file, { now });
    if (how === "removed") await rm(folder.file);
    else await rename(other.file, folder.file);
    for (const work of [store.revision(), store.revoke(revocation()), store.revocations(0)]) {
      expect(await messageOf(work)).toContain("removed or replaced while in use");
    }
    await store.close();
  });

  test("no folder can be made, or there is one in its place: a fault", async () => {
    await using folder = await tempFolder({ file: "" });
    const below = join(folder.path, "file/claimgate.db");
    expect(await faultOf(openSqliteStore(below, { now }))).toBe("store_unavailable");
    await mkdir(join(folder.path, "claimgate.db"));
    const place = join(folder.path, "claimgate.db");
    expect(await faultOf(openSqliteStore(place, { now }))).toBe("store_unavailable");
  });
});

/** @returns A small file system of its own, or `undefined` where we may not have one. */
async function mountSmall(folder: TempFolder, options: string): Promise<AsyncDisposable> {
  const run = (...command: string[]) => Bun.spawnSync(command, { stderr: "pipe" });
  const mounted = run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder.path);
  if (!mounted.success) throw new Error(mounted.stderr.toString());
  return { [Symbol.asyncDispose]: async () => void run("umount", "-l", folder.path) };
}

function mayMount(): boolean {
  if (!isRoot || process.platform !== "linux") return false;
  // In a mount namespace of its own: nothing is left behind.
  const tried = Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  return tried.success;
}

describe.skipIf(!mayMount())("a disk (needs root and mount)", () => {
  test("that is full: a fault, what was resolved for is there, and well again with room", async () => {
    await using folder = await tempFolder();
    await using _disk = await mountSmall(folder, "size=1m");
    const file = join(folder.path, "claimgate.db");
    const ballast = join(folder.path, "ballast");
    await Bun.write(ballast, "x".repeat(300_000));
    const store = await openSqliteStore(file, { now });
    let seq = 0;
    let fault = "no fault";
    while (fault === "no fault" && seq < 50_000) {
      const batch = Array.from({ length: 100 }, () => record("a", ++seq));
      fault = await messageOf(store.append(batch));
    }
    expect(fault).toContain("the disk is full");
    expect(await store.find({ limit: 1 })).toMatchObject([{ seq: seq - 100 }]);
    expect(await store.anchors()).toMatchObject([{ lastSeq: seq - 100 }]);
    await rm(ballast);
    await store.append(Array.from({ length: 100 }, (_, at) => record("a", seq - 99 + at)));
    expect(await store.anchors()).toMatchObject([{ lastSeq: seq }]);
    await store.close();
  });
});

test.skipIf(isRoot && !mayMount())(
  "a file that may not be written: a fault at the start",
  async () => {
    await using folder = await tempFolder();
    await using _disk = isRoot ? await mountSmall(folder, "size=4m") : undefined;
    const file = join(folder.path, "claimgate.db");
    const store = await openSqliteStore(file, { now });
    await store.append([record("a", 1)]);
    await store.close();
    // Modes do not bind root; a read-only mount does.
    if (isRoot) Bun.spawnSync(["mount", "-o", "remount,ro", folder.path]);
    else chmodSync(file, 0o400);
    expect(await messageOf(openSqliteStore(file, { now }))).toMatch(/read-only|cannot be written/);
    expect(await faultOf(openSqliteStore(file, { now }))).toBe("store_unavailable");
  },
);

describe("a process", () => {
  test("killed at any moment has lost nothing that was resolved for, nor broken a chain", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "claimgate.db");
    for (let round = 0; round < 6; round++) {
      const writer = `w${round}`;
      const script = join(import.meta.dir, "writing-process.ts");
      const child = Bun.spawn([process.execPath, script, file, writer], { stdout: "pipe" });
      let out = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        out += chunk;
        if (out.split("\n").length > 3 * round + 1) child.kill("SIGKILL");
      }
      await child.exited;
      const batches = out.trimEnd().split("\n").length;

      const store = await openSqliteStore(file, { now });
      const seqs = (await store.chain(writer, 0, 100_000)).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, at) => at + 1));
      expect(seqs.length).toBeGreaterThanOrEqual(batches * 20);
      expect(seqs.length % 20).toBe(0);
      const anchor = (await store.anchors()).find((one) => one.writer === writer);
      expect(anchor?.lastSeq).toBe(seqs.length);
      const values = new Set((await store.revocations(2_000)).map(({ value }) => value));
      for (let batch = 0; batch < batches; batch++) {
        expect(values.has(`${writer}-${batch}`)).toBe(true);
      }
      await store.close();
    }
  });

  test("ends by itself, whether it has closed the store or not, and after its last answer", async () => {
    await using folder = await tempFolder();
    const file = JSON.stringify(join(folder.path, "claimgate.db"));
    const open = `const store = await openSqliteStore(${file}, { now }); store.onRevocation(() => {});`;
    const closed = await runScript(`${open} await store.close(); console.log("end");`);
    expect(closed).toEqual({ out: "end\n", code: 0 });
    const left = await runScript(`${open} console.log((await store.anchors()).length);`);
    expect(left).toEqual({ out: "0\n", code: 0 });
  });

  test("does not end before the answer that it waits for", async () => {
    await using folder = await usedStore();
    const path = JSON.stringify(join(import.meta.dir, "../../src/store/sqlite.ts"));
    const script = `
      import { openSqliteStore } from ${path};
      const now = () => 2_000;
      openSqliteStore(${JSON.stringify(folder.file)}, { now }).then(async (store) => {
        console.log("open");
        await store.unrevoke("jti", "okta", "7");
        console.log("done");
      });`;
    const other = new Database(folder.file);
    other.run("BEGIN IMMEDIATE");
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    let out = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (out === "") setTimeout(() => other.run("COMMIT"), 300);
      out += chunk;
    }
    other.close();
    expect(out).toBe("open\ndone\n");
    expect(await child.exited).toBe(0);
  });

  test("that is told to end does so, or hears of it", async () => {
    await using folder = await tempFolder();
    const file = JSON.stringify(join(folder.path, "claimgate.db"));
    const open = `const store = await openSqliteStore(${file}, { now }); setInterval(() => {}, 50);`;
    const killing = `setTimeout(() => process.kill(process.pid, "SIGTERM"), 1);`;
    expect(await runScript(`${open} ${killing}`)).toEqual({ out: "", code: "SIGTERM" });
    const handler = `process.on("SIGTERM", async () => { await store.close(); process.exit(3); });`;
    expect(await runScript(`${open} ${handler} ${killing}`)).toEqual({ out: "", code: 3 });
  });
});

test("a commit waits in the Worker: the main thread goes on meanwhile", async () => {
  await using folder = await usedStore();
  const store = await openSqliteStore(folder.file, { now });
  const other = new Database(folder.file);
  other.run("BEGIN IMMEDIATE");
  const appended = store.append([record("b", 1)]);
  // Only this thread can let the commit go on.
  await new Promise((resolve) => setImmediate(resolve));
  other.run("COMMIT");
  other.close();
  await appended;
  await store.close();
});

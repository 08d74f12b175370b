/** What becomes of a gate, and of what it knows, when its SQLite file or the disk fails. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./claimgate.ts";
import {
  type Asked,
  ask,
  askUntil,
  assertRecorded,
  faultFolder,
  jtiOf,
  storeState,
  wordsOf,
} from "./fault-gate.ts";

const TEST_LIMIT_MS = 90_000;
const NO_STORE = "503 store_unavailable";
const REVOKED = "401 token_revoked";

/** Many more, at any moment of a writer: test/store/kill.test.ts. */
const KILLS = 6;
const LATEST_KILL_MS = 120;

const STORE = "sqlite:state/claimgate.db";

describe("a gate whose SQLite file", () => {
  test(
    "another gate has open, too: both know every revocation and keep whole chains",
    async () => {
      await using folder = await faultFolder(STORE);
      await using one = await folder.serve();
      await using other = await folder.serve();
      const gates = [one, other];
      const tokens = await Promise.all(
        ["a", "b", "c", "d"].map((subject) => folder.token(subject)),
      );
      const asked: Asked[] = [];
      for (const token of tokens) {
        const before = gates.flatMap((gate) => [ask(gate, "/app/x", token), ask(gate, "/open")]);
        const [revoked] = await Promise.all([
          folder.run("revoke", "--jti", jtiOf(token)),
          ...before.map(async (answer) => asked.push(await answer)),
        ]);
        expect(revoked.exitCode).toBe(0);
        for (const gate of gates) asked.push(...(await askUntil(REVOKED, gate, "/app/x", token)));
      }
      await assertRecorded(folder, asked);
      expect((await folder.run("store", "check")).exitCode).toBe(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "it is killed on, at random moments: what `revoke` said is done is in force in the next gate",
    async () => {
      await using folder = await faultFolder(STORE);
      let acknowledged = 0;
      for (let round = 0; round < KILLS; round++) {
        const tokens = await Promise.all(["a", "b", "c"].map((name) => folder.token(name)));
        const done: string[] = [];
        {
          await using gate = await folder.serve();
          const revoking = tokens.map(async (token) => {
            const { exitCode } = await folder.run("revoke", "--jti", jtiOf(token));
            if (exitCode === 0) done.push(token);
          });
          for (const token of tokens) await ask(gate, "/app/x", token);
          await Bun.sleep(Math.random() * LATEST_KILL_MS);
          process.kill(gate.pid, "SIGKILL");
          await gate.ended();
          // Those that come later find no gate, and write to the store themselves.
          await Promise.all(revoking);
        }
        acknowledged += done.length;
        await using next = await folder.serve();
        for (const token of done) expect(wordsOf(await ask(next, "/app/x", token))).toBe(REVOKED);
        expect(await folder.run("audit", "verify")).toMatchObject({ exitCode: 0, err: "" });
      }
      expect(acknowledged).toBeGreaterThan(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "another process keeps locked: it goes on, `revoke` fails aloud, and no record is lost",
    async () => {
      await using folder = await faultFolder(STORE);
      await using gate = await folder.serve();
      const [good, bad] = [await folder.token("alice"), await folder.token("bob")];
      await folder.run("revoke", "--jti", jtiOf(bad));
      await askUntil(REVOKED, gate, "/app/x", bad);
      const other = new Database(join(folder.path, "state/claimgate.db"));
      other.run("BEGIN IMMEDIATE");
      const asked: Asked[] = [];
      for (let count = 0; count < 20; count++) asked.push(await ask(gate, "/app/x", good));
      asked.push(await ask(gate, "/app/x", bad));
      expect(asked.map(wordsOf)).toEqual([...Array(20).fill("200"), REVOKED]);
      const failed = await folder.run("revoke", "--jti", "another");
      expect(failed.exitCode).toBe(70);
      expect(failed.err).toContain("locked");
      const told = await gate.waitForLog(({ event }) => event === "audit");
      expect(String(told.message)).toContain("another process keeps it locked");
      expect(wordsOf(await ask(gate, "/app/x", bad))).toBe(REVOKED);
      other.run("COMMIT");
      other.close();
      await assertRecorded(folder, asked);
    },
    TEST_LIMIT_MS,
  );

  test.each(["removed", "replaced by another"])(
    "is %s under it: it says so and closes, and a restart opens what lies there",
    async (how) => {
      await using folder = await faultFolder(STORE);
      await using gate = await folder.serve();
      const [good, bad] = [await folder.token("alice"), await folder.token("bob")];
      await folder.run("revoke", "--jti", jtiOf(bad));
      await askUntil(REVOKED, gate, "/app/x", bad);
      const file = join(folder.path, "state/claimgate.db");
      for (const end of ["", "-wal", "-shm"]) await rm(file + end, { force: true });
      if (how !== "removed") await Bun.write(file, "");
      const told = await gate.waitForLog(({ event }) => event === "store_lost");
      expect(told).toMatchObject({ level: "warn" });
      expect(String(told.message)).toContain(
        "was removed or replaced while in use; restart the gate",
      );
      // Nothing is written to where the gate would not see it.
      const failed = await folder.run("revoke", "--jti", "another");
      expect(failed.exitCode).toBe(70);
      expect(failed.err).toContain("was removed or replaced while in use");
      expect(existsSync(file)).toBe(how !== "removed");
      await askUntil(NO_STORE, gate, "/app/x", good);
      expect(wordsOf(await ask(gate, "/app/x", bad))).toBe(REVOKED);
      expect(wordsOf(await ask(gate, "/open"))).toBe("200");
      expect(await storeState(gate)).toBe("200 lost");
      gate.signal("SIGTERM");
      await gate.ended();
      await using next = await folder.serve();
      expect(wordsOf(await ask(next, "/app/x", good))).toBe("200");
    },
    TEST_LIMIT_MS,
  );

  test(
    "is damaged, newer, or another program's: no start, a clear message, every byte as it was",
    async () => {
      await using folder = await faultFolder(STORE);
      {
        await using gate = await folder.serve();
        await assertRecorded(folder, [await ask(gate, "/open")]);
        gate.signal("SIGTERM");
        expect(await gate.ended()).toBe(0);
      }
      const file = join(folder.path, "state/claimgate.db");
      const whole = readFileSync(file);
      const scrambled = Buffer.from(whole);
      crypto.getRandomValues(scrambled.subarray(4_096, 3 * 4_096));
      const newer = Buffer.from(whole);
      newer.writeUInt32BE(99, 60); // user_version
      const cases = [
        [scrambled, "its contents are corrupted"],
        [whole.subarray(0, whole.length - 4_096), "its contents are corrupted"],
        [newer, "its schema is version 99"],
        [Buffer.from("no database at all, ".repeat(100)), "it is not an SQLite database"],
      ] as const;
      for (const [bytes, message] of cases) {
        await Bun.write(file, bytes);
        const { exitCode, out, err } = await folder.run("serve");
        expect({ exitCode, out }).toEqual({ exitCode: 70, out: "" });
        expect(err).toContain(message);
        expect(err).not.toMatch(/\n\s+at /);
        expect((await folder.run("store", "check")).exitCode).toBe(1);
        expect((await folder.run("revoke", "--jti", "x")).exitCode).toBe(70);
        expect(readFileSync(file).equals(bytes)).toBe(true);
      }
      await Bun.write(file, whole);
      await using again = await folder.serve();
      await assertRecorded(folder, [await ask(again, "/open")]);
    },
    TEST_LIMIT_MS,
  );
});

function mayMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  // In a mount namespace of its own: nothing is left behind.
  return Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).success;
}

/** A small file system at that folder, until it is let go of. */
async function mountSmall(path: string, size: string): Promise<AsyncDisposable> {
  await mkdir(path, { recursive: true });
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  if (!mounted.success) throw new Error(`Cannot mount: ${mounted.stderr}`);
  return { [Symbol.asyncDispose]: async () => void Bun.spawnSync(["umount", "-l", path]) };
}

describe.skipIf(!mayMount())("a gate whose disk (needs root and mount)", () => {
  test(
    "is full: it goes on with what it knows, says so, and writes all once there is room",
    async () => {
      await using folder = await faultFolder(STORE);
      const state = join(folder.path, "state");
      await using _disk = await mountSmall(state, "1m");
      await using gate = await folder.serve();
      const [good, bad] = [await folder.token("alice"), await folder.token("bob")];
      await folder.run("revoke", "--jti", jtiOf(bad));
      const asked = [...(await askUntil(REVOKED, gate, "/app/x", bad))];
      const ballast = join(state, "ballast");
      // All that is left of it; the log of the database has to grow soon.
      Bun.spawnSync(["dd", "if=/dev/zero", `of=${ballast}`, "bs=4096"]);
      await until("a log that says so", 30_000, async () => {
        const more = Array.from({ length: 50 }, () => ask(gate, "/app/x", good));
        asked.push(...(await Promise.all(more)));
        return gate.log.some(({ message }) => String(message).includes("the disk is full"));
      });
      asked.push(await ask(gate, "/app/x", bad), await ask(gate, "/open"));
      expect(new Set(asked.slice(-2).map(wordsOf))).toEqual(new Set([REVOKED, "200"]));
      const failed = await folder.run("revoke", "--jti", "another");
      expect(failed.exitCode).toBe(70);
      await rm(ballast);
      await assertRecorded(folder, asked);
      expect((await folder.run("revoke", "--jti", "another")).exitCode).toBe(0);
      expect((await folder.run("store", "check")).exitCode).toBe(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is read-only: no start, and a message that says why",
    async () => {
      await using folder = await faultFolder(STORE);
      const state = join(folder.path, "state");
      await using _disk = await mountSmall(state, "4m");
      {
        await using gate = await folder.serve();
        gate.signal("SIGTERM");
        expect(await gate.ended()).toBe(0);
      }
      Bun.spawnSync(["mount", "-o", "remount,ro", state]);
      const { exitCode, err } = await folder.run("serve");
      expect(exitCode).toBe(70);
      expect(err).toMatch(/read-only|cannot be written/);
      expect((await folder.run("revoke", "--jti", "x")).exitCode).toBe(70);
      Bun.spawnSync(["mount", "-o", "remount,rw", state]);
      await using _gate = await folder.serve();
    },
    TEST_LIMIT_MS,
  );
});

import { expect, test } from "bun:test";
import { join } from "node:path";
import { openAuditKey } from "../../src/audit/key.ts";
import { verifyChains } from "../../src/audit/verify.ts";
import { inspectStore } from "../../src/store/inspect.ts";
import { openStore } from "../../src/store/open.ts";
import { tempFolder } from "../support/temp-folder.ts";

const KILLS = 200;
/** Two processes at a time on each of two files. */
const LANES = [0, 1, 2, 3];
/** After the first acknowledged revocation, over more than one batch of the audit; a quarter is killed before it, while it opens the store. */
const LATEST_KILL_MS = 250;
const LATEST_EARLY_KILL_MS = 150;
const TEST_LIMIT_MS = 120_000;

/** @returns What it had told as revoked before it was killed. */
async function killedSoon(folder: string, name: string): Promise<readonly string[]> {
  const script = join(import.meta.dir, "revoking-process.ts");
  const child = Bun.spawn([process.execPath, script, folder, name], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const killWithin = (ms: number) => setTimeout(() => child.kill("SIGKILL"), Math.random() * ms);
  const isEarly = Math.random() < 0.25;
  if (isEarly) killWithin(LATEST_EARLY_KILL_MS);
  let told = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (told === "" && !isEarly) killWithin(LATEST_KILL_MS);
    told += chunk;
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  // The last line may have been cut off.
  return told.split("\n").slice(0, -1);
}

test(
  `after a kill -9 at ${KILLS} random moments every chain holds, and no revocation is lost`,
  async () => {
    await using one = await tempFolder();
    await using other = await tempFolder();
    const folders = [one.path, other.path] as const;
    const acknowledged: Record<string, string[]> = { [one.path]: [], [other.path]: [] };
    let kills = 0;

    async function killInTurn(lane: number): Promise<void> {
      const folder = folders[lane % folders.length] ?? one.path;
      while (kills < KILLS) {
        kills += 1;
        acknowledged[folder]?.push(...(await killedSoon(folder, `p${kills}`)));
      }
    }
    await Promise.all(LANES.map(killInTurn));

    for (const folder of folders) {
      const place = { kind: "sqlite", file: join(folder, "claimgate.db") } as const;
      expect(await inspectStore(place, "check")).toMatchObject({ problems: [] });
      const store = await openStore(place, { now: Date.now });
      const { ok, records } = await verifyChains(store, await openAuditKey(folder));
      expect(ok).toBe(true);
      expect(records).toBeGreaterThan(0);
      const kept = new Set((await store.revocations(Date.now())).map(({ value }) => value));
      const told = acknowledged[folder] ?? [];
      expect(told.length).toBeGreaterThan(KILLS / 4);
      expect(told.filter((value) => !kept.has(value))).toEqual([]);
      await store.close();
    }
  },
  TEST_LIMIT_MS,
);

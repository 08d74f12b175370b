import { expect, test } from "bun:test";
import { join } from "node:path";
import { openAuditKey } from "../../src/audit/key.ts";
import { verifyChains } from "../../src/audit/verify.ts";
import { openStore } from "../../src/store/open.ts";
import { tempFolder } from "../support/temp-folder.ts";

/**
 * What a `kill -9` may cost: 200 ms, in which the writer makes a record every 2 ms. Counted and
 * not timed, so that a busy machine, where all of it takes longer, makes no difference.
 */
const MOST_LOST = 100;

/** Runs a writer, kills it once it has recorded so many, and counts what it had recorded. */
async function killedAfter(count: number, folder: string): Promise<number> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "endless-writer.ts"), folder], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  let told = 0;
  for await (const chunk of child.stdout) {
    for (const byte of chunk) if (byte === 10) told += 1;
    if (told >= count) child.kill("SIGKILL");
  }
  await child.exited;
  return told;
}

test.each([30, 60, 99, 140, 187, 240, 301, 380])(
  "a kill -9 after %d records loses 200 ms at most, and leaves a chain that holds",
  async (count) => {
    await using folder = await tempFolder();
    const told = await killedAfter(count, folder.path);
    const file = join(folder.path, "claimgate.db");
    const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
    const { ok, records } = await verifyChains(store, await openAuditKey(folder.path));
    await store.close();
    expect(ok).toBe(true);
    expect(told).toBeGreaterThanOrEqual(count);
    expect(told - records).toBeLessThanOrEqual(MOST_LOST);
    const lines = Bun.file(join(folder.path, "audit.jsonl"));
    const written = (await lines.exists()) ? (await lines.text()).split("\n").length - 1 : 0;
    expect(told - written).toBeLessThanOrEqual(MOST_LOST);
  },
);

import { expect, test } from "bun:test";
import { join } from "node:path";
import { openAuditKey } from "../../src/audit/key.ts";
import { verifyChains } from "../../src/audit/verify.ts";
import { openStore } from "../../src/store/open.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** What a `kill -9` may cost. */
const MOST_LOST_MS = 200;

/** Runs a writer, kills it once it has recorded so many, and says what it had told by then. */
async function killedAfter(count: number, folder: string) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "endless-writer.ts"), folder], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n").length > count) break;
  }
  const killedMs = Date.now();
  child.kill("SIGKILL");
  await child.exited;
  const told = text.split("\n").filter((line) => /^\d+ \d+$/.test(line));
  return { killedMs, told: told.map((line) => line.split(" ").map(Number)) };
}

// Again where the machine was too busy for the writer to keep its times.
test.each([1, 20, 150, 173, 401])(
  "a kill -9 after %d records loses 200 ms at most, and leaves a chain that holds",
  async (count) => {
    await using folder = await tempFolder();
    const { killedMs, told } = await killedAfter(count, folder.path);
    const file = join(folder.path, "claimgate.db");
    const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
    const { ok, records } = await verifyChains(store, await openAuditKey(folder.path));
    await store.close();
    expect(ok).toBe(true);
    const oldestLost = told.find(([number = 0]) => number > records);
    expect(killedMs - (oldestLost?.[1] ?? killedMs)).toBeLessThanOrEqual(MOST_LOST_MS);
  },
  { retry: 3 },
);

import { expect, test } from "bun:test";
import { join } from "node:path";

type Measured = { readonly mb: number; readonly grownMb?: number; readonly stored: number };

/** In a process of its own: what other tests hold is not in the measure. */
async function measure(mode: "live" | "distinct"): Promise<Measured> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sightings-memory.ts"), mode], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 110_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(err).toBe("");
  return JSON.parse(out);
}

test("200,000 live tokens, each with a history that somebody asks for, take under 200 MB", async () => {
  const { mb, stored } = await measure("live");
  expect(stored).toBe(405_000);
  expect(mb).toBeLessThan(200);
}, 120_000);

test("1,000,000 distinct tokens are all stored, and the second half takes no more than the first", async () => {
  const { mb, grownMb, stored } = await measure("distinct");
  expect(stored).toBe(1_005_000);
  expect(mb).toBeLessThan(200);
  expect(grownMb).toBeLessThan(40);
}, 120_000);

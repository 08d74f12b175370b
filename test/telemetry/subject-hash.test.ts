import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSubjectHash } from "../../src/telemetry/subject-hash.ts";
import type { Token } from "../../src/types.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "claimgate-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

const token = (issuer: string, subject: string) => ({ issuer, subject }) as Token;

describe("openSubjectHash()", () => {
  test("is the same for one subject, also after a restart, and tells others apart", async () => {
    const first = await openSubjectHash(folder);
    const again = await openSubjectHash(folder);
    const hash = first(token("https://a", "alice"));
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(again(token("https://a", "alice"))).toBe(hash);
    const others = [
      token("https://a", "bob"),
      token("https://b", "alice"),
      token("https://aa", "lice"),
    ];
    for (const other of others) expect(first(other)).not.toBe(hash);
  });

  test("another installation gives other hashes", async () => {
    const here = await openSubjectHash(folder);
    const there = await openSubjectHash(join(folder, "elsewhere"));
    expect(there(token("https://a", "alice"))).not.toBe(here(token("https://a", "alice")));
  });

  test("keeps its key for the owner alone", async () => {
    await openSubjectHash(folder);
    expect((await stat(join(folder, "subject-hash.key"))).mode & 0o777).toBe(0o600);
  });

  test("works where nothing can be written", async () => {
    const hash = await openSubjectHash("/proc/no-such-folder");
    expect(hash(token("https://a", "alice"))).toMatch(/^[0-9a-f]{16}$/);
  });
});

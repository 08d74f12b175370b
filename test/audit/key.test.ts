import { describe, expect, test } from "bun:test";
import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { openAuditKey, readAuditKey } from "../../src/audit/key.ts";
import { tempFolder } from "../support/temp-folder.ts";

describe("openAuditKey()", () => {
  test("makes a key of 256 bits for its owner alone, once", async () => {
    await using folder = await tempFolder();
    const place = join(folder.path, "new");
    expect(await readAuditKey(place)).toBeUndefined();
    const keys = await Promise.all([1, 2, 3, 4].map(() => openAuditKey(place)));
    expect(keys[0]).toHaveLength(32);
    for (const key of keys) expect(key).toEqual(keys[0] ?? new Uint8Array());
    expect(await readAuditKey(place)).toEqual(keys[0] ?? new Uint8Array());
    expect(await readdir(place)).toEqual(["audit.key"]);
    expect((await stat(join(place, "audit.key"))).mode & 0o777).toBe(0o600);
  });

  test.each([
    ["too short", "short"],
    ["too long", "x".repeat(33)],
    ["empty", ""],
  ])("refuses one that is %s", async (_, text) => {
    await using folder = await tempFolder({ "audit.key": text });
    await chmod(join(folder.path, "audit.key"), 0o600);
    const fault = { code: "state_unusable", message: expect.stringContaining("is damaged") };
    await expect(openAuditKey(folder.path)).rejects.toMatchObject(fault);
  });

  test("refuses one that others may read", async () => {
    await using folder = await tempFolder({ "audit.key": "x".repeat(32) });
    await chmod(join(folder.path, "audit.key"), 0o640);
    const fault = { code: "state_unusable", message: expect.stringContaining("chmod 600") };
    await expect(openAuditKey(folder.path)).rejects.toMatchObject(fault);
  });

  test("says where it could not make one", async () => {
    await using folder = await tempFolder({ file: "" });
    const message = expect.stringMatching(/cannot (?:make|read) .*audit\.key: E[A-Z]+/u);
    const opening = openAuditKey(join(folder.path, "file", "below"));
    await expect(opening).rejects.toMatchObject({ code: "state_unusable", message });
  });
});

import { describe, expect, test } from "bun:test";
import { chmod, chown, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { readKeptKeys, writeKeptKeys } from "../../src/identity/kept-keys.ts";
import { importKeySet } from "../../src/identity/key-set.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { configOf, createSigner, NOW_MS } from "./kit.ts";

const imported = await importKeySet({ keys: [(await createSigner("ES256", "a")).publicJwk] });
if (!imported.ok) throw new Error(imported.error);
const { set } = imported.value;
const OWNER = configOf();
const FILE = ".claimgate/keys-main.json";

async function keptIn(folder: string, owner = OWNER, nowMs = NOW_MS) {
  const kept = await readKeptKeys(folder, owner, nowMs);
  if (!kept.ok) return kept.error;
  return (
    kept.value && { kids: kept.value.set.keys.map((key) => key.kid), at: kept.value.fetchedAtMs }
  );
}

describe("kept keys", () => {
  test("come back with their time, from a file that is private", async () => {
    await using folder = await tempFolder();
    expect(await keptIn(folder.path)).toBeUndefined();
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS - 5_000 });
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS - 1_000 });
    expect(await keptIn(folder.path)).toEqual({ kids: ["a"], at: NOW_MS - 1_000 });
    expect((await stat(join(folder.path, FILE))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, ".claimgate"))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder.path, ".claimgate"))).toEqual(["keys-main.json"]);
  });

  test("of another issuer or address are not believed", async () => {
    await using folder = await tempFolder();
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
    expect(await keptIn(folder.path, configOf({ issuer: "https://evil.example" }))).toBeUndefined();
    const elsewhere = configOf({ keys: { kind: "jwksUri", url: "http://127.0.0.1:2/keys" } });
    expect(await keptIn(folder.path, elsewhere)).toBeUndefined();
    const discovered = configOf({ keys: { kind: "discovery", issuer: OWNER.issuer } });
    expect(await keptIn(folder.path, discovered)).toBeUndefined();
    expect(await keptIn(folder.path, configOf({ name: "other" }))).toBeUndefined();
  });

  test.each([
    ["", "the kept keys are damaged and ignored"],
    ["{", "the kept keys are damaged and ignored"],
    ["[]", "the kept keys are damaged and ignored"],
    ["{}", "the kept keys are damaged and ignored"],
    [" ".repeat(1024 * 1024 + 1), "the kept keys are too large and are ignored"],
  ])("that are damaged are ignored and said so", async (text, why) => {
    await using folder = await tempFolder();
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
    await Bun.write(join(folder.path, FILE), text);
    expect(await keptIn(folder.path)).toBe(why);
  });

  test("go through the checks of every key", async () => {
    await using folder = await tempFolder();
    const file = {
      issuer: OWNER.issuer,
      origin: OWNER.keys,
      fetchedAt: new Date(NOW_MS).toISOString(),
    };
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
    await Bun.write(
      join(folder.path, FILE),
      JSON.stringify({ ...file, keys: [{ kty: "oct", k: "AAAA" }] }),
    );
    expect(await keptIn(folder.path)).toBe(
      "the kept keys are ignored: no usable key; key 1 of 1 is left out: symmetric",
    );
  });

  test("without a date, or with one in the future, are ignored", async () => {
    await using folder = await tempFolder();
    const why = "the kept keys have no date or one in the future, and are ignored";
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
    expect(await keptIn(folder.path, OWNER, NOW_MS - 61_000)).toBe(why);
    expect(await keptIn(folder.path, OWNER, NOW_MS - 59_000)).toEqual({
      kids: ["a"],
      at: NOW_MS - 59_000,
    });
    const text = await Bun.file(join(folder.path, FILE)).text();
    await Bun.write(
      join(folder.path, FILE),
      text.replace(/"fetchedAt": "[^"]+"/, '"fetchedAt": "x"'),
    );
    expect(await keptIn(folder.path)).toBe(why);
  });

  test("that others can write are ignored", async () => {
    await using folder = await tempFolder();
    const why = "the kept keys can be written by other users and are ignored";
    await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
    await chmod(join(folder.path, FILE), 0o620);
    expect(await keptIn(folder.path)).toBe(why);
    await chmod(join(folder.path, FILE), 0o600);
    await chmod(join(folder.path, ".claimgate"), 0o777);
    expect(await keptIn(folder.path)).toBe(why);
  });

  // Nobody but the administrator can give a file away.
  test.skipIf(process.getuid?.() !== 0).each([FILE, ".claimgate"])(
    "that another user made are ignored: %s",
    async (path) => {
      await using folder = await tempFolder();
      await writeKeptKeys(folder.path, OWNER, { set, fetchedAtMs: NOW_MS });
      await chown(join(folder.path, path), 65_534, 65_534);
      expect(await keptIn(folder.path)).toBe(
        "the kept keys belong to another user and are ignored",
      );
      // Whoever owns the configuration's folder may write what he likes in it.
      await chown(folder.path, 65_534, 65_534);
      expect(await keptIn(folder.path)).toEqual({ kids: ["a"], at: NOW_MS });
    },
  );

  test("stay in the folder, whatever the issuer's name", async () => {
    await using folder = await tempFolder();
    const owner = configOf({ name: "../../x" });
    await writeKeptKeys(folder.path, owner, { set, fetchedAtMs: NOW_MS });
    expect(await readdir(join(folder.path, ".claimgate"))).toEqual(["keys-..%2F..%2Fx.json"]);
  });
});

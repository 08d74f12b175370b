import { describe, expect, test } from "bun:test";
import { chmod, chown, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openKeyFile, readKeyFile } from "../../src/config/key-file.ts";
import { tempFolder } from "../support/temp-folder.ts";

const at = (folder: string) => ({
  file: join(folder, "state", "own.key"),
  bytes: 32,
  risk: "who could read all",
  loss: "all is then lost",
});

const refused = (...texts: readonly string[]) => ({
  code: "state_unusable",
  message: expect.stringMatching(new RegExp(texts.join(".*"))),
});

describe("openKeyFile()", () => {
  test("makes a key once, for its owner alone, whoever comes at the same time", async () => {
    await using folder = await tempFolder();
    const key = at(folder.path);
    expect(await readKeyFile(key)).toBeUndefined();
    const keys = await Promise.all([1, 2, 3, 4].map(() => openKeyFile(key)));
    expect(new Set(keys.map((one) => Buffer.from(one).toString("hex"))).size).toBe(1);
    expect(keys[0]).toHaveLength(32);
    expect(await readKeyFile(key)).toEqual(keys[0] ?? new Uint8Array());
    expect(await readdir(dirname(key.file))).toEqual(["own.key"]);
    expect((await stat(key.file)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(key.file))).mode & 0o777).toBe(0o700);
  });

  test.each(["", "short", "x".repeat(33)])("refuses %p, and leaves it", async (text) => {
    await using folder = await tempFolder({ "state/own.key": text });
    const key = at(folder.path);
    await chmod(key.file, 0o600);
    expect(openKeyFile(key)).rejects.toMatchObject(refused("is damaged", "all is then lost"));
    await openKeyFile(key).catch(() => undefined);
    expect(await Bun.file(key.file).text()).toBe(text);
  });

  test.each([0o640, 0o604, 0o660])("refuses one of mode %o", async (mode) => {
    await using folder = await tempFolder({ "state/own.key": "x".repeat(32) });
    const key = at(folder.path);
    await chmod(key.file, mode);
    const fault = refused("open to other users, who could read all", "chmod 600");
    expect(openKeyFile(key)).rejects.toMatchObject(fault);
    expect(readKeyFile(key)).rejects.toMatchObject(fault);
  });

  // Only the administrator can give a file away.
  test.skipIf(process.getuid?.() !== 0)("refuses one that another user has made", async () => {
    await using folder = await tempFolder({ "state/own.key": "x".repeat(32) });
    const key = at(folder.path);
    await chmod(key.file, 0o600);
    await chown(key.file, 65_534, 65_534);
    const fault = refused("belongs to another user, who could read all");
    await expect(openKeyFile(key)).rejects.toMatchObject(fault);
    await chown(dirname(key.file), 65_534, 65_534);
    expect(await openKeyFile(key)).toHaveLength(32);
  });

  test("says where it could not make one", async () => {
    await using folder = await tempFolder({ file: "" });
    const opening = openKeyFile(at(join(folder.path, "file")));
    expect(opening).rejects.toMatchObject(refused("cannot (?:make|read) ", "own\\.key: E[A-Z]+"));
    await opening.catch(() => undefined);
  });
});

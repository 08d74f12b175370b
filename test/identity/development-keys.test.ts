import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";
import {
  ensureDevelopmentKeys,
  rotateDevelopmentKeys,
} from "../../src/identity/development-keys.ts";

let parent: string;
let folder: string;
let file: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "claimgate-keys-"));
  folder = join(parent, ".claimgate");
  file = join(folder, "development-keys.json");
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const kidsOf = (keys: readonly { kid: string }[]) => keys.map(({ kid }) => kid);
const stored = async () => JSON.parse(await readFile(file, "utf8"));
const store = (content: unknown) => writeFile(file, JSON.stringify(content));
const damaged = {
  code: "state_unusable",
  message: expect.stringContaining("is damaged: delete it"),
};

describe("ensureDevelopmentKeys()", () => {
  test("makes one ES256 key whose halves belong together", async () => {
    const [key, ...others] = await ensureDevelopmentKeys(folder);
    if (key === undefined) throw new Error("no key");
    expect(others).toEqual([]);
    const token = await new SignJWT({ hello: "world" })
      .setProtectedHeader({ alg: "ES256" })
      .sign(await importJWK(key.privateJwk, "ES256"));
    const { payload } = await jwtVerify(token, await importJWK(key.publicJwk, "ES256"));
    expect(payload).toEqual({ hello: "world" });
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk));
    expect(Object.keys(key.publicJwk).sort()).toEqual([
      "alg",
      "crv",
      "kid",
      "kty",
      "use",
      "x",
      "y",
    ]);
  });

  test("keeps the file and its folder to their owner, whatever the umask", async () => {
    const before = process.umask(0o000);
    try {
      await ensureDevelopmentKeys(folder);
    } finally {
      process.umask(before);
    }
    expect(await modeOf(file)).toBe(0o600);
    expect(await modeOf(folder)).toBe(0o700);
  });

  test("takes a folder that is there already for its owner alone", async () => {
    await mkdir(folder);
    await chmod(folder, 0o755);
    await ensureDevelopmentKeys(folder);
    expect(await modeOf(folder)).toBe(0o700);
  });

  test("leaves nothing beside the file, and gives the same keys again", async () => {
    const first = await ensureDevelopmentKeys(folder);
    expect(await ensureDevelopmentKeys(folder)).toEqual(first);
    expect(await readdir(folder)).toEqual(["development-keys.json"]);
  });

  test("gives processes that start at once the same key", async () => {
    const source = Bun.fileURLToPath(
      new URL("../../src/identity/development-keys.ts", import.meta.url),
    );
    const script = `const { ensureDevelopmentKeys } = await import(${JSON.stringify(source)});
      console.log((await ensureDevelopmentKeys(${JSON.stringify(folder)}))[0].kid);`;
    const start = () => Bun.$`${process.execPath} -e ${script}`.quiet().text();
    const kids = await Promise.all([start(), start(), start()]);
    const here = await Promise.all(Array.from({ length: 8 }, () => ensureDevelopmentKeys(folder)));
    const [{ kid }] = (await stored()).keys;
    expect(kids.map((line) => line.trim())).toEqual([kid, kid, kid]);
    expect(new Set(here.flatMap(kidsOf))).toEqual(new Set([kid]));
  });

  test.each([0o640, 0o604, 0o666, 0o620])(
    "refuses a file of mode %o, with the fix",
    async (mode) => {
      await ensureDevelopmentKeys(folder);
      await chmod(file, mode);
      await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject({
        name: "GateError",
        code: "state_unusable",
        message: expect.stringContaining(`chmod 600 ${file}`),
      });
    },
  );

  test("refuses a folder that others may write to, with the fix", async () => {
    await ensureDevelopmentKeys(folder);
    await chmod(folder, 0o770);
    await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject({
      code: "state_unusable",
      message: expect.stringContaining(`chmod 700 ${folder}`),
    });
  });

  // Nobody but the administrator can give a file away.
  test.skipIf(process.getuid?.() !== 0).each(["file", "folder"])(
    "refuses a %s that another user made, who knows the keys",
    async (kind) => {
      await ensureDevelopmentKeys(folder);
      const path = kind === "file" ? file : folder;
      await chown(path, 65_534, 65_534);
      await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject({
        code: "state_unusable",
        message: expect.stringContaining(`${path} belongs to another user`),
      });
    },
  );

  test.each([
    ["an empty file", ""],
    ["half a file", '{ "keys": [{ "kty": "EC"'],
    ["another shape", "[]"],
    ["no key", '{ "keys": [] }'],
  ])("refuses %s and leaves it as it is", async (_, text) => {
    await ensureDevelopmentKeys(folder);
    await writeFile(file, text);
    await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject(damaged);
    expect(await readFile(file, "utf8")).toBe(text);
  });

  test("refuses a file far larger than its keys", async () => {
    await ensureDevelopmentKeys(folder);
    await appendFile(file, " ".repeat(20_000));
    await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject(damaged);
  });

  test("refuses a key put together from two, and says nothing of it", async () => {
    await rotateDevelopmentKeys(folder);
    const { keys } = await stored();
    await store({ keys: [{ ...keys[0], d: keys[1].d }] });
    const fault = await ensureDevelopmentKeys(folder).catch((error: unknown) => error);
    expect(fault).toMatchObject(damaged);
    expect(Bun.inspect(fault)).not.toContain(keys[1].d);
  });

  test("refuses a key under another's kid", async () => {
    await rotateDevelopmentKeys(folder);
    const { keys } = await stored();
    await store({ keys: [{ ...keys[0], kid: keys[1].kid }] });
    await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject(damaged);
  });

  test("names the file when it cannot be made", async () => {
    await writeFile(folder, "a file where the folder should be");
    await expect(ensureDevelopmentKeys(folder)).rejects.toMatchObject({
      code: "state_unusable",
      message: expect.stringContaining(folder),
    });
  });
});

describe("rotateDevelopmentKeys()", () => {
  test("puts the new key first and keeps two before it", async () => {
    const [first] = kidsOf(await ensureDevelopmentKeys(folder));
    const [second, ...afterOne] = kidsOf(await rotateDevelopmentKeys(folder));
    expect(afterOne).toEqual([first ?? ""]);
    const [third, ...afterTwo] = kidsOf(await rotateDevelopmentKeys(folder));
    expect(afterTwo).toEqual([second ?? "", first ?? ""]);
    const [fourth, ...afterThree] = kidsOf(await rotateDevelopmentKeys(folder));
    expect(afterThree).toEqual([third ?? "", second ?? ""]);
    expect(new Set([first, second, third, fourth]).size).toBe(4);
  });

  test("writes what it returns, for the owner alone", async () => {
    const keys = await rotateDevelopmentKeys(folder);
    expect(await ensureDevelopmentKeys(folder)).toEqual(keys);
    expect(await modeOf(file)).toBe(0o600);
    expect(await readdir(folder)).toEqual(["development-keys.json"]);
  });

  test("loses no key when two rotate at once", async () => {
    const [first] = kidsOf(await ensureDevelopmentKeys(folder));
    const rotated = await Promise.all([
      rotateDevelopmentKeys(folder),
      rotateDevelopmentKeys(folder),
    ]);
    const newest = rotated.map((keys) => keys[0]?.kid ?? "");
    const kept = kidsOf(await ensureDevelopmentKeys(folder));
    expect(kept.toSorted()).toEqual([...newest, first ?? ""].toSorted());
  });

  test("is not held up by the lock of a process that died", async () => {
    await ensureDevelopmentKeys(folder);
    const lock = `${file}.lock`;
    await writeFile(lock, "");
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    expect(await rotateDevelopmentKeys(folder)).toHaveLength(2);
  });

  test("does not replace a damaged file", async () => {
    await ensureDevelopmentKeys(folder);
    await writeFile(file, "{}");
    await expect(rotateDevelopmentKeys(folder)).rejects.toMatchObject(damaged);
    expect(await readFile(file, "utf8")).toBe("{}");
  });
});

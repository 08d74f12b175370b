import { describe, expect, test } from "bun:test";
import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  forgetLogin,
  type KeptLogin,
  keepLogin,
  loginFolder,
  readLogins,
} from "../../../src/cli/login/kept-logins.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const login = (issuer: string, signedInMs: number): KeptLogin => ({
  issuer,
  clientId: "cli",
  scopes: ["openid"],
  origins: [],
  resources: [],
  claims: {},
  accessToken: "a.b.c",
  signedInMs,
});

describe("loginFolder()", () => {
  test.each([
    [{ XDG_CONFIG_HOME: "/x", HOME: "/h" }, "linux", "/x/claimgate/logins"],
    [{ XDG_CONFIG_HOME: "relative", HOME: "/h" }, "linux", "/h/.config/claimgate/logins"],
    [{ HOME: "/h" }, "linux", "/h/.config/claimgate/logins"],
    [{ HOME: "/h" }, "darwin", "/h/Library/Application Support/claimgate/logins"],
    [{ HOME: "/h", APPDATA: "/roaming" }, "win32", "/roaming/claimgate/logins"],
  ] as const)("%o on %s is %s", (environment, platform, folder) => {
    expect(loginFolder(environment, platform)).toBe(folder);
  });
});

describe("kept logins", () => {
  test("are one for each issuer, the latest first, for their owner alone", async () => {
    await using folder = await tempFolder();
    const logins = join(folder.path, "deep/logins");
    expect(await readLogins(logins)).toEqual([]);
    await keepLogin(logins, login("https://one.test", 1));
    await keepLogin(logins, login("https://two.test/a", 3));
    await keepLogin(logins, login("https://two.test/b", 2));
    await keepLogin(logins, login("https://one.test", 4));
    const found = (await readLogins(logins)).map(({ issuer }) => issuer);
    expect(found).toEqual(["https://one.test", "https://two.test/a", "https://two.test/b"]);
    const names = await readdir(logins);
    expect(names.length).toBe(3);
    for (const name of names) {
      expect((await stat(join(logins, name))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(logins)).mode & 0o777).toBe(0o700);
    await forgetLogin(logins, "https://two.test/a");
    expect((await readLogins(logins)).length).toBe(2);
  });

  test("one that others could read is refused, and what is no login is none", async () => {
    await using folder = await tempFolder({ "broken.json": "{", "other.json": "{}" });
    for (const name of ["broken.json", "other.json"]) await chmod(join(folder.path, name), 0o600);
    expect(await readLogins(folder.path)).toEqual([]);
    await keepLogin(folder.path, login("https://one.test", 1));
    const [name = ""] = (await readdir(folder.path)).filter((one) => one.startsWith("one"));
    await chmod(join(folder.path, name), 0o644);
    expect(readLogins(folder.path)).rejects.toMatchObject({ code: "state_unusable" });
  });
});

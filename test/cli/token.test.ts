import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { readClaims, tokenCommand } from "../../src/cli/token.ts";
import { ensureDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { runHere } from "./run-here.ts";

let folder: string;
let config: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "claimgate-token-"));
  config = join(folder, "claimgate.yaml");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const run = (...args: string[]) => runHere([tokenCommand], ["token", "--config", config, ...args]);

const payloadOf = async (...args: string[]) => decodeJwt((await run(...args)).out.trim());

/** A whole configuration with these issuers. */
const configure = (...issuers: readonly object[]) =>
  writeFile(
    config,
    JSON.stringify({
      listen: "127.0.0.1:8080",
      issuers,
      routes: [{ name: "all", upstream: "echo", issuers: ["dev"], anyAuthenticated: true }],
    }),
  );

describe("claimgate token", () => {
  test("prints a token and nothing else, without any configuration", async () => {
    const { out, err } = await run("--sub", "alice", "--claim", "roles=staff");
    expect(err).toBe("");
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const [key] = await ensureDevelopmentKeys(join(folder, ".claimgate"));
    if (key === undefined) throw new Error("no key");
    const { payload } = await jwtVerify(out.trim(), await importJWK(key.publicJwk, "ES256"));
    expect(payload).toEqual({
      iss: "urn:claimgate:development",
      sub: "alice",
      aud: "dev",
      iat: expect.any(Number),
      exp: (payload.iat ?? 0) + 3600,
      jti: expect.any(String),
      roles: "staff",
    });
    expect(decodeProtectedHeader(out)).toEqual({ alg: "ES256", typ: "at+jwt", kid: key.kid });
  });

  test("makes the keys beside the configuration, for the owner alone, once", async () => {
    const first = decodeProtectedHeader((await run()).out).kid;
    const second = decodeProtectedHeader((await run()).out).kid;
    expect(second).toBe(first ?? "");
    expect(await readdir(folder)).toEqual([".claimgate"]);
    const file = await stat(join(folder, ".claimgate", "development-keys.json"));
    expect(file.mode & 0o777).toBe(0o600);
  });

  test.each([
    ["30s", 30],
    ["5m", 300],
    ["1.5h", 5_400],
    ["24h", 86_400],
    ["1d", 86_400],
  ])("lives for --ttl %s", async (ttl, seconds) => {
    const { iat = 0, exp = 0 } = await payloadOf("--ttl", ttl);
    expect(exp - iat).toBe(seconds);
  });

  test.each(["0s", "500ms", "24h1s", "25h", "2d", "-5m", "5", "soon", ""])(
    "refuses --ttl %p",
    async (ttl) => {
      await expect(run(`--ttl=${ttl}`)).rejects.toMatchObject({ code: "usage_wrong" });
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test("takes one audience or several", async () => {
    expect((await payloadOf("--audience", "a")).aud).toBe("a");
    expect((await payloadOf("--audience", "a", "--audience", "b")).aud).toEqual(["a", "b"]);
  });

  test("lets JSON replace a registered claim", async () => {
    const payload = await payloadOf(
      "--claim",
      "exp:=5",
      "--claim",
      "iss=x",
      "--claim",
      "sub:=null",
    );
    expect(payload).toMatchObject({ exp: 5, iss: "x", sub: null as never });
  });

  test.each([
    [["--sub", "alice", "--claim", "sub=bob"]],
    [["--audience", "a", "--claim", "aud=b"]],
  ])("refuses two answers to one question: %p", async (args) => {
    await expect(run(...args)).rejects.toMatchObject({ code: "usage_wrong" });
  });

  test("follows the development issuer of the configuration", async () => {
    await configure({
      name: "dev",
      development: true,
      issuer: "https://dev.acme.test",
      audiences: ["orders", "bills"],
    });
    const { out, err } = await run();
    expect(err).toBe("");
    expect(decodeJwt(out)).toMatchObject({ iss: "https://dev.acme.test", aud: "orders" });
    expect((await payloadOf("--audience", "x")).aud).toBe("x");
  });

  test("takes the defaults of a plain development issuer", async () => {
    await configure({ name: "dev", development: true });
    const { out, err } = await run();
    expect(err).toBe("");
    expect(decodeJwt(out)).toMatchObject({ iss: "urn:claimgate:development", aud: "dev" });
  });

  test("warns when the configuration has no development issuer", async () => {
    await configure({ name: "dev", issuer: "https://id.acme.test", audiences: ["api"] });
    const { out, err } = await run();
    expect(err).toContain("development: true");
    expect(decodeJwt(out).iss).toBe("urn:claimgate:development");
  });

  test("warns when the configuration does not hold, and still prints a token", async () => {
    await writeFile(config, "issuers: 5\n");
    const { out, err } = await run();
    expect(err).toContain("does not hold");
    expect(decodeJwt(out)).toMatchObject({ iss: "urn:claimgate:development", aud: "dev" });
  });

  test("refuses a configuration in a folder that is not there", async () => {
    config = join(folder, "typo", "claimgate.yaml");
    await expect(run()).rejects.toMatchObject({ code: "usage_wrong" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("refuses damaged keys", async () => {
    await mkdir(join(folder, ".claimgate"), { mode: 0o700 });
    await writeFile(join(folder, ".claimgate", "development-keys.json"), "{}", { mode: 0o600 });
    await expect(run()).rejects.toMatchObject({ code: "state_unusable" });
  });
});

describe("readClaims()", () => {
  test.each([
    ["team=blue", { team: "blue" }],
    ["roles=staff,admin", { roles: ["staff", "admin"] }],
    ["roles=staff,", { roles: ["staff"] }],
    ["empty=", { empty: "" }],
    ["level:=3", { level: 3 }],
    ["gone:=null", { gone: null }],
    ['place:={"city":"Bonn"}', { place: { city: "Bonn" } }],
    ['name:="Doe, Jo"', { name: "Doe, Jo" }],
    ["sum=1=1", { sum: "1=1" }],
    ["note=a:=b", { note: "a:=b" }],
    ["https://acme.dev/groups=a,b", { "https://acme.dev/groups": ["a", "b"] }],
    ["urn:acme:level:=3", { "urn:acme:level": 3 }],
  ])("reads %s", (written, claims) => {
    expect(readClaims([written])).toEqual(claims);
  });

  test("keeps __proto__ as a claim", () => {
    const claims = readClaims(['__proto__:={"admin":true}', "a=b"]);
    expect(Object.keys(claims)).toEqual(["__proto__", "a"]);
    expect(claims).not.toHaveProperty("admin");
  });

  test.each([
    ["no equals sign", ["s3cret"]],
    ["no name", ["=s3cret"]],
    ["what is not JSON", ["a:=s3cret"]],
    ["a time that is no number", ["exp=s3cret"]],
    ["a claim given twice", ["a=s3cret", "a=s3cret"]],
  ])("refuses %s without quoting the value", (_, written) => {
    const read = () => readClaims(written);
    expect(read).toThrow(expect.objectContaining({ code: "usage_wrong" }));
    expect(read).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("s3cret") }),
    );
  });
});

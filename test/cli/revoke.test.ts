import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { revokeCommand } from "../../src/cli/revoke.ts";
import { tokensCommand } from "../../src/cli/tokens.ts";
import { unrevokeCommand } from "../../src/cli/unrevoke.ts";
import { digestToken } from "../../src/identity/token-digest.ts";
import { openRevocations } from "../../src/ledger/revocations.ts";
import { openTokenHash } from "../../src/ledger/token-hash.ts";
import { openStore } from "../../src/store/open.ts";
import type { Revocation, Store } from "../../src/store/store.ts";
import { tokenOf, until } from "../ledger/kit.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { runHere } from "./run-here.ts";

let folder: TempFolder;
let file: string;
let store: Store | undefined;

const DEV = { name: "dev", development: true };
const OKTA = {
  name: "okta",
  issuer: "https://okta.example",
  audiences: ["api"],
  jwksUri: "https://okta.example/keys",
  maxLifetime: "2h",
  clockTolerance: "10s",
};

const configure = (issuers: readonly object[] = [DEV], more: object = {}) =>
  writeFile(
    file,
    JSON.stringify({
      listen: "127.0.0.1:8080",
      issuers,
      routes: [{ name: "all", upstream: "echo", issuers: ["dev"], anyAuthenticated: true }],
      ...more,
    }),
  );

beforeEach(async () => {
  folder = await tempFolder();
  file = join(folder.path, "claimgate.yaml");
  await configure();
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await folder[Symbol.asyncDispose]();
});

const configured = () => ({ kind: "sqlite", file: join(folder.path, "claimgate.db") }) as const;

async function open(): Promise<Store> {
  store ??= await openStore(configured(), { now: Date.now });
  return store;
}

const stored = async () => (await open()).revocations(Date.now());
const acts = async () => {
  const records = await (await open()).find({ kind: "act", limit: 10 });
  return records.map(({ body }) => JSON.parse(body)).reverse();
};

const run = (...args: string[]) =>
  runHere([revokeCommand, unrevokeCommand, tokensCommand], [...args, "--config", file]);

const fault = (...args: string[]) =>
  run(...args).then(
    () => undefined,
    (error: { code?: string; message: string }) => ({ code: error.code, message: error.message }),
  );

const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jws = (payload: object) => `${segment({ alg: "ES256" })}.${segment(payload)}.c2lnbmF0dXJl`;

describe("claimgate revoke", () => {
  test("stores a subject of the only issuer, and writes the act down", async () => {
    const began = Date.now();
    const { out, err } = await run("revoke", "--subject", "alice", "--reason", "laptop stolen");
    expect(out).toStartWith("revoked subject alice of dev, kept until ");
    expect(err).toContain("no token of that subject has been seen here");
    const [revocation, ...rest] = await stored();
    expect(rest).toEqual([]);
    expect(revocation).toMatchObject({
      kind: "subject",
      issuer: "urn:claimgate:development",
      value: "alice",
      reason: "laptop stolen",
      author: "cli",
    });
    expect(revocation?.atMs).toBeGreaterThanOrEqual(began);
    expect(await acts()).toEqual([
      {
        kind: "act",
        at: expect.any(String),
        actor: "cli",
        act: "revoke",
        target: "subject alice of dev",
        reason: "laptop stolen",
      },
    ]);
  });

  test.each([
    [["--jti", "t1"], "jti", "t1", 7_220_000],
    // Sessions that began before last longer than tokens.
    [["--subject", "alice"], "subject", "alice", 10_800_000 + 10_000],
    [[], "issuer", "", 10_800_000 + 10_000],
  ] as const)(
    "takes %p of an issuer by its name, and by its iss",
    async (flags, kind, value, ms) => {
      await configure([DEV, OKTA], { session: { lifetime: "3h" } });
      await run("revoke", ...flags, "--issuer", "okta");
      await run("revoke", ...flags, "--issuer", "https://okta.example");
      const all = await stored();
      expect(all).toMatchObject([{ kind, issuer: "https://okta.example", value }]);
      const { atMs = 0, untilMs } = all[0] as Revocation;
      // maxLifetime and the tolerance twice; renewed by the second.
      expect(untilMs).toBeGreaterThanOrEqual(atMs + ms);
      expect(untilMs).toBeLessThan(atMs + ms + 40_000);
    },
  );

  test("does the same thing twice as one", async () => {
    await run("revoke", "--jti", "t1");
    await run("revoke", "--jti", "t1");
    expect(await stored()).toHaveLength(1);
    expect(await acts()).toHaveLength(2);
  });

  test("takes a token by what it is, whether or not anybody could verify it", async () => {
    const expiresAt = Math.floor(Date.now() / 1_000) + 600;
    const token = jws({ exp: expiresAt });
    const { out } = await run("revoke", "--token", `Bearer ${token}`);
    const hash = await openTokenHash({}, configured());
    const value = hash.ofDigest(digestToken(token));
    expect(await stored()).toMatchObject([
      { kind: "token", value, untilMs: (expiresAt + 30) * 1_000 },
    ]);
    expect(out).toContain(`revoked token ${value}`);
    const told = `${out}${JSON.stringify(await acts())}`;
    for (const part of token.split(".")) expect(told).not.toContain(part);
  });

  test.each([
    ["that does not say when it expires", jws({ sub: "a" })],
    ["that is no JSON", "abcd.efgh.ijkl"],
    ["that is encrypted", "a.b.c.d.e"],
  ])("keeps one %s for the longest lifetime of all", async (_, token) => {
    await run("revoke", "--token", token);
    const [{ atMs, untilMs } = { atMs: 0, untilMs: 0 }] = await stored();
    expect(untilMs - atMs).toBe((24 * 3_600 + 60) * 1_000);
  });

  test("takes a token that has expired, and shows it for a while", async () => {
    await run("revoke", "--token", jws({ exp: 1_000_000_000 }));
    expect(await stored()).toHaveLength(1);
  });

  test("reads a token from stdin, and ends by itself", async () => {
    const source = join(import.meta.dir, "../../src/cli/revoke.ts");
    const script = `
      import { Command } from ${JSON.stringify(Bun.resolveSync("commander", import.meta.dir))};
      import { revokeCommand } from ${JSON.stringify(source)};
      const program = new Command();
      revokeCommand(program);
      await program.parseAsync(["revoke", "--token", "-", "--config", ${JSON.stringify(file)}], { from: "user" });`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdin: new Blob([`${jws({})}\n`]),
      stdout: "pipe",
      timeout: 20_000,
    });
    expect([await child.exited, await child.stdout.text()]).toEqual([
      0,
      expect.stringContaining("revoked token "),
    ]);
    const hash = await openTokenHash({}, configured());
    expect(await stored()).toMatchObject([{ value: hash.ofDigest(digestToken(jws({}))) }]);
  });

  test("takes the id that the audit shows", async () => {
    const hash = await openTokenHash({}, configured());
    const id = hash.of(tokenOf()) ?? "";
    await run("revoke", "--token", id);
    expect(await stored()).toMatchObject([{ kind: "token", value: id }]);
  });

  test("is in force in a running gate within a second", async () => {
    const gate = await openRevocations({
      store: await open(),
      tokenHash: await openTokenHash({}, configured()),
      now: Date.now,
      maxStalenessMs: () => 30_000,
      log: { event() {} },
    });
    const token = tokenOf({ issuer: "urn:claimgate:development", digest: digestToken(jws({})) });
    await run("revoke", "--token", jws({}));
    await until(() => gate.check(token) !== undefined);
    await run("unrevoke", "--token", jws({}));
    await until(() => gate.check(token) === undefined);
    await gate.close();
  });

  test.each([
    ["nothing to revoke", ["revoke"], "name what is meant"],
    ["nothing to unrevoke", ["unrevoke"], "name what is meant"],
    ["two things", ["revoke", "--jti", "a", "--subject", "b"], "--jti and --subject exclude"],
    ["no session", ["revoke", "--session", "s"], "22 characters; no cookie"],
    ["a cookie", ["unrevoke", "--session", "c".repeat(43)], "22 characters; no cookie"],
    [
      "a session of an issuer",
      ["revoke", "--session", "s".repeat(22), "--issuer", "dev"],
      "--session needs no --issuer",
    ],
    ["an empty jti", ["revoke", "--jti", ""], "--jti is empty"],
    ["an empty subject", ["revoke", "--subject", ""], "--subject is empty"],
    ["a long subject", ["revoke", "--subject", "x".repeat(1_025)], "up to 1024 characters"],
    ["an unknown issuer", ["revoke", "--jti", "a", "--issuer", "dew"], "did you mean dev?"],
    [
      "a long reason",
      ["revoke", "--jti", "a", "--reason", "x".repeat(501)],
      "--reason takes up to",
    ],
    ["white space", ["revoke", "--token", "not a token"], "--token takes a whole token"],
    ["no parts", ["revoke", "--token", "secret"], "--token takes a whole token"],
    ["a long token", ["revoke", "--token", `a.b.${"c".repeat(16_384)}`], "a whole token"],
    ["two lists", ["tokens", "--revoked", "--lint"], "two different lists"],
    ["half a list", ["tokens", "--revoked", "--active"], "two different lists"],
    ["no limit", ["tokens", "--revoked", "--limit", "0"], "--limit takes"],
    ["no number", ["tokens", "--revoked", "--limit", "1e3"], "--limit takes"],
  ])("%s is wrong usage", async (_, args, message) => {
    expect(await fault(...args)).toEqual({
      code: "usage_wrong",
      message: expect.stringContaining(message),
    });
    expect(await stored()).toEqual([]);
  });

  test.each(["--jti", "--subject"])("%s wants the issuer where there are several", async (flag) => {
    await configure([DEV, OKTA]);
    const message = expect.stringContaining("add --issuer (dev, okta)");
    for (const command of ["revoke", "unrevoke"]) {
      expect(await fault(command, flag, "a")).toEqual({ code: "usage_wrong", message });
    }
  });

  test("an error never quotes a token", async () => {
    const { message } = (await fault("revoke", "--token", "sec ret.sec ret.sec ret")) ?? {};
    expect(message).not.toContain("sec");
  });

  test("fails aloud when the store is damaged or the configuration does not hold", async () => {
    await writeFile(
      join(folder.path, "claimgate.db"),
      "no database, but long enough to be read".repeat(50),
    );
    expect(await fault("revoke", "--jti", "a")).toMatchObject({ code: "store_damaged" });
    await writeFile(file, "listen: [");
    expect(await fault("revoke", "--jti", "a")).toMatchObject({ code: "config_invalid" });
  });

  test("says so when it could not be written down", async () => {
    await writeFile(join(folder.path, "audit.key"), "short", { mode: 0o600 });
    expect(await fault("revoke", "--jti", "a")).toEqual({
      code: "state_unusable",
      message: expect.stringContaining("it is done, but not in the audit: "),
    });
    expect(await stored()).toHaveLength(1);
  });
});

describe("claimgate unrevoke", () => {
  test.each([
    ["--jti", "t1"],
    ["--subject", "alice"],
    ["--issuer", "dev"],
    ["--token", "abcd.efgh.ijkl"],
  ])("takes %s back, and writes the act down", async (flag, value) => {
    await run("revoke", flag, value);
    const { out, exitCode } = await run("unrevoke", flag, value);
    expect(out).toStartWith("unrevoked ");
    expect(exitCode).toBe(0);
    expect(await stored()).toEqual([]);
    expect((await acts()).map(({ act }) => act)).toEqual(["revoke", "unrevoke"]);
  });

  test("of what is not revoked is 1, and no act", async () => {
    await run("revoke", "--jti", "t1");
    const { out, err, exitCode } = await run("unrevoke", "--subject", "t1");
    expect(out).toBe("");
    expect(err).toContain("subject t1 of dev is not revoked");
    expect(exitCode).toBe(1);
    expect(await stored()).toHaveLength(1);
    expect(await acts()).toHaveLength(1);
  });
});

describe("claimgate tokens --revoked", () => {
  test("lists the newest first, by the issuers' names", async () => {
    await configure([DEV, OKTA]);
    const common = { reason: "", author: "cli", untilMs: Date.UTC(2099, 0) };
    const at = (minute: number) => Date.UTC(2026, 0, 5, 10, minute);
    await (await open()).revoke({
      ...common,
      kind: "subject",
      issuer: "https://okta.example",
      value: "alice",
      reason: "gone\nrevoked bob",
      atMs: at(1),
    });
    await (await open()).revoke({ ...common, kind: "token", value: "h", atMs: at(2) });
    await (await open()).revoke({
      ...common,
      kind: "issuer",
      issuer: "https://former.example",
      value: "",
      atMs: at(3),
    });
    const { out, err } = await run("tokens", "--revoked");
    expect(out.split("\n")).toEqual([
      "2026-01-05T10:03:00.000Z  issuer of https://former.example  until 2099-01-01T00:00:00.000Z  by cli",
      "2026-01-05T10:02:00.000Z  token h  until 2099-01-01T00:00:00.000Z  by cli",
      "2026-01-05T10:01:00.000Z  subject alice of okta  until 2099-01-01T00:00:00.000Z  by cli: gone?revoked bob",
      "",
    ]);
    expect(err).toBe("3 revocations\n");
    const { out: json } = await run("tokens", "--revoked", "--json", "--limit", "2");
    expect(JSON.parse(json)).toEqual([
      {
        kind: "issuer",
        issuer: "https://former.example",
        value: "",
        reason: "",
        author: "cli",
        at: "2026-01-05T10:03:00.000Z",
        until: "2099-01-01T00:00:00.000Z",
      },
      {
        kind: "token",
        value: "h",
        reason: "",
        author: "cli",
        at: "2026-01-05T10:02:00.000Z",
        until: "2099-01-01T00:00:00.000Z",
      },
    ]);
    const { err: rest } = await run("tokens", "--revoked", "--limit", "1");
    expect(rest).toBe("1 revocation, of 3\n");
  });

  test("has no control as it is in JSON either, and nothing is lost", async () => {
    const value = "\u009b31mred\u007f\u2028\u202e";
    await (await open()).revoke({
      kind: "token",
      value,
      reason: value,
      author: "cli",
      atMs: Date.now(),
      untilMs: Date.now() + 60_000,
    });
    const { out } = await run("tokens", "--revoked", "--json");
    expect(out).not.toMatch(/[\u007f-\u009f\u2028\u202e]/);
    expect(JSON.parse(out)).toMatchObject([{ value, reason: value }]);
  });

  test("is an empty list where nothing is revoked", async () => {
    const { out, exitCode } = await run("tokens", "--revoked", "--json");
    expect(JSON.parse(out)).toEqual([]);
    expect(exitCode).toBe(0);
  });
});

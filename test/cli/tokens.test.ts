import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { plain } from "../../src/cli/paint.ts";
import { revokeCommand } from "../../src/cli/revoke.ts";
import { tokenLines } from "../../src/cli/tokens/token-lines.ts";
import { tokensCommand } from "../../src/cli/tokens.ts";
import { unrevokeCommand } from "../../src/cli/unrevoke.ts";
import type { ListedToken } from "../../src/ledger/token-list.ts";
import { openStore } from "../../src/store/open.ts";
import type { Sighting } from "../../src/store/store.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type Outcome, runHere } from "./run-here.ts";

const OKTA = "https://acme.okta.com/oauth2/default";
const HOUR_MS = 3_600_000;

let folder: TempFolder;
let file: string;

beforeEach(async () => {
  folder = await tempFolder();
  const okta = { name: "okta", issuer: OKTA, audiences: ["api"], jwksUri: `${OKTA}/keys` };
  file = await folder.write(
    "claimgate.yaml",
    JSON.stringify({
      listen: "127.0.0.1:8080",
      issuers: [{ name: "dev", development: true }, okta],
      routes: [{ name: "all", upstream: "echo", issuers: ["dev"], anyAuthenticated: true }],
    }),
  );
});
afterEach(() => folder[Symbol.asyncDispose]());

/** As a gate stores them, before it ends. */
async function stored(...sightings: readonly Partial<Sighting>[]): Promise<void> {
  const file = join(folder.path, "claimgate.db");
  const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
  const nowMs = Date.now();
  const trace = { firstMs: nowMs, lastMs: nowMs, requests: 2 };
  const whole = sightings.map((more): Sighting => {
    const counts = { requests: 2, denials: 0, deniedInRow: 0 };
    const minutes = { minute: 0, minuteRequests: 2, busiestMinute: 0 };
    return {
      id: idOf("a"),
      kind: "token",
      issuer: OKTA,
      subject: "alice",
      client: "web",
      issuedAtMs: nowMs - 60_000,
      expiresAtMs: nowMs + HOUR_MS,
      firstMs: nowMs,
      lastMs: nowMs,
      ...counts,
      ...minutes,
      addresses: [
        { name: "10.0.0.1", ...trace, country: "NZ" },
        { name: "10.0.0.2", ...trace },
      ],
      devices: [{ name: "firefox on windows", ...trace }],
      routes: [{ name: "all", ...trace }],
      lint: [],
      unusual: [],
      ...more,
    };
  });
  await store.noteSightings(whole);
  await store.close();
}

const idOf = (letter: string) => letter.repeat(22);

const run = (...args: string[]) =>
  runHere([revokeCommand, unrevokeCommand, tokensCommand], [...args, "--config", file]);

const idsOf = ({ out }: Outcome) => JSON.parse(out).map(({ id }: { id: string }) => id[0]);

describe("claimgate tokens", () => {
  test("with nothing seen says so, and prints an empty array for machines", async () => {
    const { out, err, exitCode } = await run("tokens");
    expect([out, exitCode]).toEqual(["", 0]);
    expect(err).toContain("no such token was seen yet");
    expect((await run("tokens", "--json")).out).toBe("[]\n");
    expect((await run("tokens", "--lint", "--json")).out).toBe("[]\n");
    expect((await run("tokens", "--revoked", "--json")).out).toBe("[]\n");
  });

  test("prints a table, the latest first", async () => {
    const nowMs = Date.now();
    await stored(
      { id: idOf("a"), lastMs: nowMs - 5 },
      {
        id: idOf("b"),
        kind: "session",
        subject: "bob\u001b[31m",
        denials: 1,
        lint: ["groups_overage"],
        unusual: [{ signal: "impossible_travel", policy: "unusual-activity", atMs: nowMs }],
      },
      { id: idOf("c"), expiresAtMs: nowMs - 1, lastMs: nowMs - 10, addresses: [], devices: [] },
    );
    const { out, err } = await run("tokens");
    const [headings = "", ...rows] = out.trimEnd().split("\n");
    expect(headings.split(/ {2,}/)).toEqual([
      "id",
      "subject",
      "client",
      "first seen",
      "last seen",
      "requests",
      "denied",
      "addresses",
      "countries",
      "devices",
      "flags",
    ]);
    expect(rows.map((row) => row[0])).toEqual(["b", "a", "c"]);
    expect(rows[0]).toContain("bob?[31m");
    expect(rows[0]).toContain("10.0.0.1 +1");
    expect(rows[0]).toContain("NZ");
    expect(rows[0]).toContain("firefox on windows");
    expect(rows[0]).toEndWith("session, impossible_travel, groups_overage");
    expect(rows[2]).toEndWith("expired");
    expect(err).toContain("3 tokens");
  });

  test("takes two lines for each where the terminal is narrow", () => {
    const at = new Date().toISOString();
    const times = { firstSeen: at, lastSeen: at, requests: 2 };
    const token: ListedToken = {
      id: idOf("a"),
      kind: "token",
      issuer: "okta",
      subject: "alice",
      expiresAt: at,
      active: false,
      ...times,
      denials: 1,
      deniedInRow: 0,
      addresses: [{ ip: "10.0.0.1", ...times }],
      countries: [],
      devices: [{ name: "curl on linux", ...times }],
      routes: [],
      unusual: [],
      lint: [],
    };
    const lines = tokenLines([token], { paint: plain, nowMs: Date.parse(at), columns: 80 });
    const clock = at.slice(11, 19);
    expect(lines).toBe(
      `${idOf("a")}  alice  expired\n    ${clock} to ${clock}  2 requests, 1 denied  10.0.0.1, curl on linux\n`,
    );
  });

  test("finds by subject, issuer, what is unusual, and at most so many", async () => {
    const nowMs = Date.now();
    const unusual = [{ signal: "s", policy: "p", atMs: nowMs }];
    await stored(
      { id: idOf("a"), lastMs: nowMs },
      { id: idOf("b"), lastMs: nowMs - 1, subject: "bob", unusual },
      { id: idOf("c"), lastMs: nowMs - 2, issuer: "urn:claimgate:development" },
    );
    expect(idsOf(await run("tokens", "--json"))).toEqual(["a", "b", "c"]);
    expect(idsOf(await run("tokens", "--json", "--limit", "2"))).toEqual(["a", "b"]);
    expect(idsOf(await run("tokens", "--json", "--subject", "bob"))).toEqual(["b"]);
    expect(idsOf(await run("tokens", "--json", "--issuer", "okta"))).toEqual(["a", "b"]);
    expect(idsOf(await run("tokens", "--json", "--issuer", OKTA))).toEqual(["a", "b"]);
    expect(idsOf(await run("tokens", "--json", "--unusual"))).toEqual(["b"]);
    const { out } = await run("tokens", "--json", "--subject", "bob");
    expect(JSON.parse(out)[0]).toMatchObject({
      issuer: "okta",
      subject: "bob",
      client: "web",
      active: true,
      lastSeen: new Date(nowMs - 1).toISOString(),
      addresses: [{ ip: "10.0.0.1", country: "NZ" }, { ip: "10.0.0.2" }],
      countries: ["NZ"],
      devices: [{ name: "firefox on windows" }],
      unusual: [{ signal: "s", policy: "p" }],
    });
  });

  test("active are those that neither expired nor were revoked", async () => {
    await stored(
      { id: idOf("a") },
      { id: idOf("b"), expiresAtMs: Date.now() - 1 },
      { id: idOf("c"), kind: "session" },
      { id: idOf("d"), subject: "bob" },
    );
    await run("revoke", "--session", idOf("c"), "--reason", "left open");
    await run("revoke", "--subject", "bob", "--issuer", "okta");
    expect(idsOf(await run("tokens", "--json", "--active"))).toEqual(["a"]);
    const all = JSON.parse((await run("tokens", "--json")).out);
    const session = all.find(({ id }: { id: string }) => id === idOf("c"));
    expect(session).toMatchObject({
      active: false,
      revoked: { kind: "session", reason: "left open", author: "cli" },
    });
    await run("unrevoke", "--session", idOf("c"));
    expect(idsOf(await run("tokens", "--json", "--active")).sort()).toEqual(["a", "c"]);
  });

  test("--lint says by issuer and client what to change, in the provider's words", async () => {
    await stored(
      { id: idOf("a"), lint: ["lifetime_long"] },
      { id: idOf("b"), lint: ["lifetime_long", "rsa_2048"] },
      { id: idOf("c") },
    );
    const { out } = await run("tokens", "--lint");
    expect(out).toContain("okta, client web\n");
    expect(out).toContain("lifetime_long  2 tokens");
    expect(out).toContain("shorten Access token lifetime");
    const found = JSON.parse((await run("tokens", "--lint", "--json")).out);
    expect(found).toMatchObject([
      { issuer: "okta", client: "web", code: "lifetime_long", tokens: 2, provider: "okta" },
      { issuer: "okta", client: "web", code: "rsa_2048", tokens: 1 },
    ]);
  });

  test("--revoked finds by issuer and subject", async () => {
    await run("revoke", "--subject", "alice", "--issuer", "okta");
    await run("revoke", "--subject", "bob", "--issuer", "okta");
    await run("revoke", "--issuer", "dev");
    const valuesOf = ({ out }: Outcome) =>
      JSON.parse(out).map(({ value }: { value: string }) => value);
    expect(valuesOf(await run("tokens", "--revoked", "--json", "--subject", "bob"))).toEqual([
      "bob",
    ]);
    expect(valuesOf(await run("tokens", "--revoked", "--json", "--issuer", "dev"))).toEqual([""]);
  });
});

describe("what nobody has seen", () => {
  test("a subject is revoked all the same, and it is said: another issuer's bob is none", async () => {
    await stored({ id: idOf("a"), subject: "bob" });
    const unseen = "no token of that subject has been seen here";
    const mistyped = await run("revoke", "--subject", "bbo", "--issuer", "okta");
    expect(mistyped.out).toContain("revoked subject bbo of okta");
    expect(mistyped.err).toContain(unseen);
    expect((await run("revoke", "--subject", "bob", "--issuer", "dev")).err).toContain(unseen);
    expect((await run("revoke", "--subject", "bob", "--issuer", "okta")).err).toBe("");
  });

  test.each(["--token", "--session"])(
    "%s is revoked all the same, and it is said",
    async (flag) => {
      await stored({ id: idOf("a") }, { id: idOf("s"), kind: "session" });
      const unseen = await run("revoke", flag, idOf("x"));
      expect(unseen.exitCode).toBe(0);
      expect(unseen.err).toContain(`no ${flag.slice(2)} with the id ${idOf("x")} has been seen`);
      const seen = await run("revoke", flag, flag === "--token" ? idOf("a") : idOf("s"));
      expect(seen.err).toBe("");
      expect(seen.out).toContain(`revoked ${flag.slice(2)} `);
    },
  );
});

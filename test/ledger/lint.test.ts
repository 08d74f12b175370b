import { describe, expect, test } from "bun:test";
import { createKeyUses } from "../../src/ledger/key-use.ts";
import { lintToken } from "../../src/ledger/lint.ts";
import { adviceFor, providerOf } from "../../src/ledger/lint-advice.ts";
import { listLint } from "../../src/ledger/lint-list.ts";
import { openSightings } from "../../src/ledger/sightings.ts";
import type { Sighting } from "../../src/store/store.ts";
import type { Token } from "../../src/types.ts";
import { ISSUER, NOW, NOW_MS, tokenOf } from "./kit.ts";

const DAY = 86_400;
const CODES =
  "audience_broad clock_ahead groups_overage iat_missing jti_missing key_retiring lifetime_long rsa_2048".split(
    " ",
  );

describe("lintToken()", () => {
  test.each<[string, Partial<Token>, string[]]>([
    ["nothing in a healthy one", {}, []],
    ["a day to the second", { expiresAt: NOW - 60 + DAY }, []],
    ["more than a day", { expiresAt: NOW - 60 + DAY + 1 }, ["lifetime_long"]],
    ["an empty jti", { id: "" }, ["jti_missing"]],
    ["three audiences", { audience: ["a", "b", "c"] }, []],
    ["four audiences", { audience: ["a", "b", "c", "d"] }, ["audience_broad"]],
    ["a wildcard", { audience: ["https://*.example"] }, ["audience_broad"]],
    ["groups elsewhere", { claims: { _claim_names: { groups: "src1" } } }, ["groups_overage"]],
    ["another claim elsewhere", { claims: { _claim_names: { address: "src1" } } }, []],
    ["groups left out", { claims: { hasgroups: true } }, ["groups_overage"]],
    ["groups not left out", { claims: { hasgroups: false, _claim_names: null } }, []],
    ["a second that was rounded up", { issuedAt: NOW + 1 }, []],
    ["a clock that is ahead", { issuedAt: NOW + 2 }, ["clock_ahead"]],
    ["RSA of 2048 bits", { signedBy: { rsaBits: 2_048 } }, ["rsa_2048"]],
    ["RSA of 3072 bits", { signedBy: { rsaBits: 3_072 } }, []],
    ["no RSA", { signedBy: { kid: "k" } }, []],
    [
      "of a session, what concerns its owner alone",
      { session: "s", audience: ["a", "b", "c", "d"], id: "", claims: { hasgroups: true } },
      ["groups_overage"],
    ],
    [
      "several things, sorted",
      { signedBy: { rsaBits: 2_048 }, id: "", claims: { hasgroups: true } },
      ["groups_overage", "jti_missing", "rsa_2048"],
    ],
  ])("finds %s", (_, more, expected) => {
    expect(lintToken(tokenOf(more), NOW_MS)).toEqual(expected);
  });

  test("counts a lifetime from now, and its absence, where there is no iat", () => {
    const { issuedAt: _, ...token } = tokenOf({ expiresAt: NOW + DAY + 10 });
    expect(lintToken(token, NOW_MS)).toEqual(["iat_missing", "lifetime_long"]);
  });

  test("gives one list for all tokens with the same", () => {
    const one = lintToken(tokenOf({ id: "" }), NOW_MS);
    expect(lintToken(tokenOf({ id: "", subject: "bob" }), NOW_MS)).toBe(one);
  });
});

describe("a key", () => {
  test("retires once its issuer has gone on to another for ten minutes", () => {
    const uses = createKeyUses();
    const old = uses.note(ISSUER, "old", NOW);
    const fresh = uses.note(ISSUER, "new", NOW + 600);
    expect([old.isRetiring(), fresh.isRetiring()]).toEqual([false, false]);
    uses.note(ISSUER, "new", NOW + 601);
    expect([old.isRetiring(), fresh.isRetiring()]).toEqual([true, false]);
    expect(uses.note(ISSUER, "old", NOW + 602)).toBe(old);
    expect(old.isRetiring()).toBe(false);
    uses.note("https://other.example", "newer", NOW + 9_000);
    expect(old.isRetiring()).toBe(false);
  });

  test("that retires is told of tokens seen before, too", async () => {
    const stored: Sighting[] = [];
    const sightings = openSightings({
      store: {
        noteSightings: async (batch) => void stored.push(...batch),
        sightings: async () => [],
        sweepSightings: async () => 0,
      },
      tokenHash: { of: ({ digest }) => digest },
      signedOutAt: () => undefined,
      now: () => NOW_MS,
      retainMs: () => 0,
      log: { event: () => undefined },
    });
    const note = (token: Token) => {
      const device = { browser: "curl", platform: "unknown", mobile: false };
      sightings.note({ token, client: { ip: "unix", device }, route: "api", denied: false });
      return sightings.flush();
    };
    const old = tokenOf({ issuedAt: NOW - 3_000, signedBy: { kid: "old" } });
    await note(old);
    await note(tokenOf({ digest: "d2", issuedAt: NOW, signedBy: { kid: "new" } }));
    await note(old);
    expect(stored.map(({ id, lint }) => [id, lint])).toEqual([
      ["d1", []],
      ["d2", []],
      ["d1", ["key_retiring"]],
    ]);
    await sightings.close();
  });
});

describe("advice", () => {
  test.each([
    ["https://acme.eu.auth0.com/", "auth0"],
    ["https://acme.okta.com/oauth2/default", "okta"],
    ["https://acme.oktapreview.com", "okta"],
    ["https://login.microsoftonline.com/tenant/v2.0", "entra"],
    ["https://sts.windows.net/tenant/", "entra"],
    ["https://sso.acme.dev/auth/realms/acme", "keycloak"],
    ["https://okta.com.evil.example", undefined],
    ["https://acme.dev", undefined],
    ["urn:claimgate:development", undefined],
    ["no address", undefined],
  ])("knows %s", (issuer, provider) => {
    expect(providerOf(issuer)).toBe(provider as ReturnType<typeof providerOf>);
  });

  test.each(CODES)("for %s says what is wrong and what to do, on one line each", (code) => {
    for (const provider of [undefined, "auth0", "okta", "entra", "keycloak"] as const) {
      const { problem = "", fix = "" } = adviceFor(code, provider) ?? {};
      for (const text of [problem, fix]) expect(text).toMatch(/^[^\n]{10,160}[^.\n]$/);
    }
  });

  test("for a code of another version is none", () => {
    expect(adviceFor("toString", "okta")).toBeUndefined();
  });
});

describe("listLint()", () => {
  const okta = "https://acme.okta.com/oauth2/default";
  const seen = (more: Partial<Sighting>): Sighting => ({
    id: "a",
    kind: "token",
    issuer: okta,
    subject: "alice",
    expiresAtMs: NOW_MS,
    firstMs: NOW_MS,
    lastMs: NOW_MS,
    requests: 1,
    denials: 0,
    deniedInRow: 0,
    minute: 0,
    minuteRequests: 1,
    busiestMinute: 0,
    addresses: [],
    devices: [],
    routes: [],
    lint: [],
    unusual: [],
    ...more,
  });

  test("counts by issuer and client, with the provider's own word", () => {
    const issuedAtMs = NOW_MS + 7_500;
    const found = listLint(
      [
        seen({ id: "a", client: "web", lint: ["jti_missing", "lifetime_long"] }),
        seen({ id: "b", client: "web", lint: ["lifetime_long"], lastMs: NOW_MS + 1 }),
        seen({ id: "c", lint: ["clock_ahead"], issuedAtMs }),
        seen({ id: "d", lint: ["clock_ahead"], issuedAtMs: NOW_MS + 2_000 }),
        seen({ id: "e", issuer: "https://x.example", lint: ["lifetime_long"] }),
        seen({ id: "f" }),
      ],
      [{ name: "okta", issuer: okta }],
    );
    expect(found.map(({ problem: _, fix: __, ...rest }) => rest)).toEqual([
      {
        issuer: "https://x.example",
        code: "lifetime_long",
        tokens: 1,
        example: "e",
        lastSeen: new Date(NOW_MS).toISOString(),
      },
      {
        issuer: "okta",
        code: "clock_ahead",
        tokens: 2,
        skewSeconds: 8,
        provider: "okta",
        example: "c",
        lastSeen: new Date(NOW_MS).toISOString(),
      },
      {
        issuer: "okta",
        client: "web",
        code: "jti_missing",
        tokens: 1,
        provider: "okta",
        example: "a",
        lastSeen: new Date(NOW_MS).toISOString(),
      },
      {
        issuer: "okta",
        client: "web",
        code: "lifetime_long",
        tokens: 2,
        provider: "okta",
        example: "b",
        lastSeen: new Date(NOW_MS + 1).toISOString(),
      },
    ]);
    expect(found.at(-1)?.fix).toContain("Access token lifetime");
  });
});

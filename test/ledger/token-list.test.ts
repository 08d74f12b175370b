import { describe, expect, test } from "bun:test";
import { packHistory, unpackHistory } from "../../src/ledger/packed-history.ts";
import { listTokens } from "../../src/ledger/token-list.ts";
import type { Revocation, Sighting } from "../../src/store/store.ts";
import { ISSUER, NOW_MS, revoked } from "./kit.ts";

const trace = { firstMs: NOW_MS, lastMs: NOW_MS + 1_000, requests: 2 };

const seen = (more: Partial<Sighting> = {}): Sighting => ({
  id: "h".repeat(22),
  kind: "token",
  issuer: ISSUER,
  subject: "alice",
  client: "web",
  jti: "t1",
  issuedAtMs: NOW_MS - 60_000,
  expiresAtMs: NOW_MS + 3_600_000,
  firstMs: NOW_MS,
  lastMs: NOW_MS + 1_000,
  requests: 3,
  denials: 1,
  deniedInRow: 1,
  minute: 29_000_000,
  minuteRequests: 3,
  busiestMinute: 2,
  addresses: [
    { name: "10.0.0.1", ...trace, country: "NZ", location: { latitude: -41, longitude: 175 } },
    { name: "10.0.0.2", ...trace, country: "NZ" },
    { name: "10.0.0.3", ...trace },
  ],
  devices: [{ name: "firefox on windows", ...trace }],
  routes: [{ name: "api", ...trace }],
  lint: ["lifetime_long"],
  unusual: [{ signal: "impossible_travel", policy: "unusual-activity", atMs: NOW_MS }],
  ...more,
});

const list = (sighting: Sighting, revocations: readonly Revocation[] = [], nowMs = NOW_MS) =>
  listTokens([sighting], { revocations, issuers: [{ name: "main", issuer: ISSUER }], nowMs })[0];

describe("listTokens()", () => {
  test("tells all that is known, with ISO times", () => {
    const firstSeen = new Date(NOW_MS).toISOString();
    const lastSeen = new Date(NOW_MS + 1_000).toISOString();
    const times = { firstSeen, lastSeen, requests: 2 };
    expect(list(seen())).toEqual({
      id: "h".repeat(22),
      kind: "token",
      issuer: "main",
      subject: "alice",
      client: "web",
      jti: "t1",
      issuedAt: new Date(NOW_MS - 60_000).toISOString(),
      expiresAt: new Date(NOW_MS + 3_600_000).toISOString(),
      active: true,
      firstSeen,
      lastSeen,
      requests: 3,
      denials: 1,
      deniedInRow: 1,
      addresses: [
        { ip: "10.0.0.1", country: "NZ", location: { latitude: -41, longitude: 175 }, ...times },
        { ip: "10.0.0.2", country: "NZ", ...times },
        { ip: "10.0.0.3", ...times },
      ],
      countries: ["NZ"],
      devices: [{ name: "firefox on windows", ...times }],
      routes: [{ name: "api", ...times }],
      unusual: [{ signal: "impossible_travel", policy: "unusual-activity", at: firstSeen }],
      lint: ["lifetime_long"],
    });
  });

  test("an unknown issuer by its iss, and what has expired as not active", () => {
    const other = seen({ issuer: "https://gone.example", expiresAtMs: NOW_MS });
    expect(list(other)).toMatchObject({ issuer: "https://gone.example", active: false });
  });

  test("a year that no calendar has is no fault", () => {
    expect(list(seen({ expiresAtMs: 1e20 }))?.expiresAt).toBe("+275760-09-13T00:00:00.000Z");
  });

  const { issuer: _, ...byHash } = revoked({ kind: "token", value: "h".repeat(22) });
  const ofSession: Revocation = { ...byHash, kind: "session" };
  const session = { kind: "session" } as const;
  const late = { issuedAtMs: NOW_MS + 2_000 };
  const undated = { issuedAtMs: undefined } as unknown as Partial<Sighting>;

  test.each<[string, Partial<Sighting>, Revocation, boolean]>([
    ["by its hash", {}, byHash, true],
    ["another hash", { id: "x" }, byHash, false],
    ["by its jti", {}, revoked(), true],
    ["the same jti of another issuer", { issuer: "https://o.example" }, revoked(), false],
    ["by its subject", {}, revoked({ kind: "subject", value: "alice" }), true],
    ["of a subject, issued after", late, revoked({ kind: "subject", value: "alice" }), false],
    [
      "of a subject, issued nobody knows when",
      undated,
      revoked({ kind: "subject", value: "alice" }),
      true,
    ],
    ["by its issuer", {}, revoked({ kind: "issuer", value: "" }), true],
    ["a session by its id", session, ofSession, true],
    ["a token by a session's id", {}, ofSession, false],
    [
      "a session by its subject's sign-out",
      session,
      revoked({ kind: "logout", value: "sub:alice" }),
      true,
    ],
    [
      "a token by its subject's sign-out",
      {},
      revoked({ kind: "logout", value: "sub:alice" }),
      false,
    ],
  ])("what is revoked %s", (_, more, revocation, isRevoked) => {
    const listed = list(seen(more), [revocation]);
    expect(listed?.active).toBe(!isRevoked);
    expect(listed?.revoked?.kind).toBe(isRevoked ? revocation.kind : undefined);
  });
});

describe("a packed history", () => {
  test("has all that a history tells", () => {
    const whole = seen();
    const {
      routes: _r,
      lint: _l,
      unusual: _u,
      client: _c,
      jti: _j,
      issuedAtMs: _i,
      ...told
    } = whole;
    const { addresses, devices } = told;
    const unpacked = unpackHistory(packHistory(whole));
    expect(unpacked).toEqual({
      ...told,
      addresses,
      devices,
      id: "",
      issuer: "",
      subject: "",
      expiresAtMs: 0,
      routes: [],
      lint: [],
      unusual: [],
    });
  });

  test("of a place without a country keeps the place", () => {
    const location = { latitude: 1, longitude: 2 };
    const whole = seen({ addresses: [{ name: "10.0.0.1", ...trace, location }] });
    expect(unpackHistory(packHistory(whole)).addresses).toEqual(whole.addresses);
  });
});

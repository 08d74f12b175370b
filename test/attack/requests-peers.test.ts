/** What a peer says of others: believed from a trusted one, and only what is meant for the gate. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { rawRequest } from "../support/raw-request.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  NOW,
  openAttackGate,
  requestBytes,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");
const CLAIMS = { iss: "https://main.test", aud: "api", sub: "alice-3f9c1d", exp: NOW + 300 };
const TOKEN = forge({ alg: "ES256", kid: "one" }, CLAIMS, key, "ES256");

let upstream: RecordingUpstream;
let issuer: Bun.Server<undefined>;
/** Behind proxies at loopback and 198.51.100.0/24. */
let gate: AttackGate;

beforeAll(async () => {
  upstream = recordingUpstream();
  const jwks = { keys: [{ ...key.jwk, kid: "one" }] };
  issuer = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(jwks) });
  const routes = [
    {
      name: "office",
      match: { path: "/office/*" },
      policies: [{ "client-network": { allow: ["10.0.0.0/8", "2001:db8::/32"] } }],
    },
    {
      name: "elsewhere",
      match: { path: "/elsewhere/*" },
      policies: [{ "client-network": { deny: ["127.0.0.0/8"] } }],
    },
    { name: "open", match: { path: "/open/*" }, anyAuthenticated: true },
    { name: "secret", match: { host: "secret.test", path: "/public/*" }, anyAuthenticated: true },
    { name: "public", match: { path: "/public/*" }, public: true },
  ].map((route) => ({ ...route, upstream: upstream.origin, identityHeaders: { "X-User": "sub" } }));
  gate = await openAttackGate({
    trustedProxies: ["127.0.0.0/8", "198.51.100.0/24"],
    issuers: [{ name: "main", issuer: CLAIMS.iss, audiences: ["api"], jwksUri: issuer.url.href }],
    routes,
  });
  await untilStatus(200, () => shoot(gate, { target: "/open/x", lines: [bearer(TOKEN)] }));
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await issuer.stop(true);
  await upstream[Symbol.asyncDispose]();
});

const at = (target: string, ...lines: readonly string[]) => ({
  target,
  lines: [bearer(TOKEN), ...lines],
});
const forwardedFor = (text: string) => `X-Forwarded-For: ${text}`;

describe("the client's address, from the right", () => {
  const INSIDE: readonly (readonly [chain: string, sent: string])[] = [
    ["10.0.0.7", "10.0.0.7, 127.0.0.1"],
    ["203.0.113.9, 10.0.0.7", "10.0.0.7, 127.0.0.1"],
    ["10.0.0.7, 127.0.0.2", "10.0.0.7, 127.0.0.2, 127.0.0.1"],
    ["10.0.0.7, 198.51.100.4, 127.0.0.2", "10.0.0.7, 198.51.100.4, 127.0.0.2, 127.0.0.1"],
    ["::ffff:10.0.0.7", "10.0.0.7, 127.0.0.1"],
    ["2001:DB8:0:0::7", "2001:db8::7, 127.0.0.1"],
    ["  10.0.0.7  ", "10.0.0.7, 127.0.0.1"],
  ];
  test.each([...INSIDE])("%s is inside", async (chain, sent) => {
    const { status } = await shoot(gate, at("/office/x", forwardedFor(chain)));
    expect(status).toBe(200);
    expect(upstream.seen.at(-1)?.headers.get("x-forwarded-for")).toBe(sent);
  });

  test.each([
    "203.0.113.9",
    "10.0.0.7, 203.0.113.9",
    "10.0.0.7, 203.0.113.9, 127.0.0.2",
    "10.0.0.7, 203.0.113.9, 198.51.100.4",
    "::ffff:203.0.113.9",
    "2001:db9::7",
    "::10.0.0.7",
    "64:ff9b::10.0.0.7",
  ])("%s is not", async (chain) => {
    const before = upstream.seen.length;
    const answer = await shoot(gate, at("/office/x", forwardedFor(chain)));
    expectDenied(gate, answer, 403, "policy_denied");
    expect(upstream.seen.length).toBe(before);
  });

  test("in two lines they are one chain", async () => {
    const inside = at("/office/x", forwardedFor("203.0.113.9"), forwardedFor("10.0.0.7"));
    expect((await shoot(gate, inside)).status).toBe(200);
    const outside = at("/office/x", forwardedFor("10.0.0.7"), forwardedFor("203.0.113.9"));
    expectDenied(gate, await shoot(gate, outside), 403, "policy_denied");
  });

  test.each([
    "",
    "unknown",
    "_hidden",
    "10.0.0.7,",
    "10.0.0.7, unknown",
    "10.0.0.256",
    "10.0.0",
    "10.7",
    "010.0.0.7",
    "0x0a.0.0.7",
    "167772167",
    "10.0.0.7.",
    "10.0.0.7/8",
    "10.0.0.7 203.0.113.9",
    "10.0.0.7;203.0.113.9",
    "10.0.0.7:99999999",
    "fe80::1%eth0",
    "[2001:db8::7",
    "2001:db8::7::1",
    "localhost",
    "'10.0.0.7'",
    Array.from({ length: 100 }, () => "127.0.0.2").join(", "),
  ])("%j cannot be read", async (chain) => {
    const before = upstream.seen.length;
    for (const target of ["/office/x", "/open/x", "/public/x"]) {
      const answer = await shoot(gate, at(target, forwardedFor(chain)));
      expectDenied(gate, answer, 400, "request_malformed");
    }
    expect(upstream.seen.length).toBe(before);
  });

  test("without it, the peer is the client", async () => {
    expectDenied(gate, await shoot(gate, at("/office/x")), 403, "policy_denied");
  });

  test.each(["X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Forwarded"])(
    "%s is no way to say it",
    async (name) => {
      const value = name === "Forwarded" ? "for=10.0.0.7" : "10.0.0.7";
      const answer = await shoot(gate, at("/office/x", `${name}: ${value}`));
      expectDenied(gate, answer, 403, "policy_denied");
    },
  );
});

describe("the scheme", () => {
  test("is what the proxy says", async () => {
    await shoot(gate, at("/open/x", "X-Forwarded-Proto: https"));
    expect(upstream.seen.at(-1)?.headers.get("x-forwarded-proto")).toBe("https");
  });

  test.each(["", "ftp", "javascript", "https, http", "https,https", "https://"])(
    "%j is none",
    async (scheme) => {
      const before = upstream.seen.length;
      const answer = await shoot(gate, at("/open/x", `X-Forwarded-Proto: ${scheme}`));
      expectDenied(gate, answer, 400, "request_malformed");
      expect(upstream.seen.length).toBe(before);
    },
  );
});

describe("a unix socket", () => {
  async function statusAt(trustedProxies: readonly string[]): Promise<number> {
    const policies = [{ "client-network": { allow: ["10.0.0.0/8"] } }];
    await using other = await openAttackGate({
      listen: "unix:gate.sock",
      trustedProxies,
      issuers: [{ name: "main", issuer: CLAIMS.iss, audiences: ["api"], jwksUri: issuer.url.href }],
      routes: [{ name: "office", upstream: upstream.origin, policies }],
    });
    const shot = at("/", forwardedFor("10.0.0.7"));
    const { status } = await rawRequest(join(other.folder, "gate.sock"), requestBytes(shot));
    return status;
  }

  test("is believed where it is trusted", async () => {
    expect(await statusAt(["unix"])).toBe(200);
  });

  test("is not, where only addresses are", async () => {
    expect(await statusAt(["0.0.0.0/0", "::/0"])).toBe(403);
  });

  test("nor by default", async () => {
    expect(await statusAt([])).toBe(403);
  });
});

describe("host, path and method are never a proxy's to say", () => {
  test.each([
    ["X-Forwarded-Host: gate.test"],
    ["X-Forwarded-Uri: /public/x"],
    ["X-Forwarded-Method: OPTIONS"],
    ["X-Forwarded-Prefix: /public"],
    ["X-Original-URL: /public/x"],
    ["Forwarded: host=gate.test;proto=https"],
  ])("%s", async (line) => {
    const before = upstream.seen.length;
    const shot = { target: "/public/x", host: "secret.test", lines: [line] };
    expectDenied(gate, await shoot(gate, shot), 401, "token_missing");
    expect(upstream.seen.length).toBe(before);
  });

  test("and go no further", async () => {
    const lines = ["X-Forwarded-Host: evil.test", "X-Forwarded-Uri: /y", "X-Forwarded-Port: 1"];
    await shoot(gate, at("/open/x", ...lines, "X-Forwarded-User: root"));
    const { headers } = upstream.seen.at(-1) ?? { headers: new Headers() };
    expect(headers.get("x-forwarded-host")).toBe("gate.test");
    const others = [...headers.keys()].filter((name) => name.startsWith("x-forwarded-")).sort();
    expect(others).toEqual(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
  });
});

describe("a peer that is gone before it is looked at", () => {
  test("is in no network that passes, and in each that is denied", async () => {
    const target = "/elsewhere/x";
    const bytes = requestBytes({
      method: "POST",
      target,
      lines: [bearer(TOKEN), "Content-Length: 0"],
    });
    const before = upstream.seen.length;
    const logged = gate.log.json.length;
    for (let count = 0; count < 200; count++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = connect(gate.port, "127.0.0.1", () => {
        socket.write(bytes);
        socket.resetAndDestroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      await promise;
    }
    // Whatever came before this one has been answered.
    const last = await shoot(gate, { target, lines: [bearer(TOKEN)] });
    expect(last.status).toBe(403);
    const lines = gate.log.json.slice(logged).map((line) => JSON.parse(line));
    const decisions = lines.filter(({ event }) => event === "decision");
    expect(decisions.length).toBeGreaterThan(1);
    expect(decisions.filter(({ decision }) => decision !== "deny")).toEqual([]);
    expect(upstream.seen.slice(before)).toEqual([]);
  });
});

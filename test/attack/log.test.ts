/** What attackers would write into the log, and what nobody may read out of it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import {
  type RawUpstream,
  type RecordingUpstream,
  rawUpstream,
  recordingUpstream,
} from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDiscreet,
  NOW,
  openAttackGate,
  parseLine,
  type Shot,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");
const evil = makeKey("P-256");

let upstream: RecordingUpstream;
let nonsense: RawUpstream;
let issuer: Bun.Server<undefined>;
let gate: AttackGate;
const sent: string[] = [];

beforeAll(async () => {
  upstream = recordingUpstream();
  nonsense = rawUpstream("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
  const jwks = { keys: [{ ...key.jwk, kid: "one" }] };
  issuer = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(jwks) });
  const usual = {
    upstream: upstream.origin,
    identityHeaders: { "X-User": "sub", "X-Mail": "email" },
  };
  gate = await openAttackGate(
    {
      log: { level: "debug" },
      policies: "policies",
      issuers: [
        { name: "main", issuer: "https://main.test", audiences: ["api"], jwksUri: issuer.url.href },
      ],
      routes: [
        { name: "open", match: { path: "/open/*" }, anyAuthenticated: true, ...usual },
        { name: "public", match: { path: "/public/*" }, public: true, ...usual },
        {
          name: "staff",
          match: { path: "/staff/*" },
          policies: [{ "require-roles": { anyOf: ["staff"] } }],
          ...usual,
        },
        { name: "loud", match: { path: "/loud/*" }, policies: ["loud"], ...usual },
        { name: "quoting", match: { path: "/quoting/*" }, policies: ["quoting"], ...usual },
        {
          name: "query",
          match: { path: "/query/*" },
          credentials: [{ query: "access_token" }],
          anyAuthenticated: true,
          ...usual,
        },
        {
          name: "cookie",
          match: { path: "/cookie/*" },
          credentials: [{ cookie: "access" }],
          anyAuthenticated: true,
          ...usual,
        },
        { name: "down", match: { path: "/down/*" }, public: true, upstream: "http://127.0.0.1:9" },
        { name: "odd", match: { path: "/odd/*" }, public: true, upstream: nonsense.origin },
      ],
    },
    { "policies/loud.ts": LOUD, "policies/quoting.ts": QUOTING },
  );
  await untilStatus(200, () => shoot(gate, { target: "/open/x", lines: [bearer(mint())] }));
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await issuer.stop(true);
  await upstream[Symbol.asyncDispose]();
  nonsense[Symbol.dispose]();
});

/** A policy that breaks, and says everything it knows while it does. */
const LOUD = `
import { definePolicy } from "claimgate";
export default definePolicy({
  description: "Breaks with a claim in its words",
  evaluate({ claims }) {
    throw new Error("claim-in-error " + String(claims.email));
  },
});
`;

/** A policy that denies, and quotes a claim for the operator. */
const QUOTING = `
import { definePolicy, deny } from "claimgate";
export default definePolicy({
  description: "Denies with a claim in its words",
  evaluate: ({ claims }) => deny("quoted", "not for " + String(claims.email)),
});
`;

/** Values that no line may hold. */
const SECRETS = {
  sub: "alice-secret-3f9c1d",
  email: "alice-secret@corp.test",
  jti: "jti-secret-77a1",
  client_id: "client-secret-9d2e",
};
const QUERY = "query-secret-51b0";
const COOKIE = "cookie-secret-c4e8";
const BODY = "body-secret-e0a7";

function mint(claims: object = {}, header: object = {}, by = key): string {
  const usual = { iss: "https://main.test", aud: "api", iat: NOW - 5, exp: NOW + 300, ...SECRETS };
  const token = forge(
    { alg: "ES256", kid: "one", ...header },
    { ...usual, ...claims },
    by,
    "ES256",
  );
  sent.push(token);
  return token;
}

/** Shoots, and holds what was logged to one line of JSON, which it returns. */
async function lineOf(shot: Shot): Promise<Record<string, unknown>> {
  const before = { json: gate.log.json.length, readable: gate.log.readable.length };
  await shoot(gate, shot);
  const lines = gate.log.json.slice(before.json);
  expect(lines).toHaveLength(1);
  for (const line of gate.log.readable.slice(before.readable)) {
    expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  }
  return parseLine(lines[0] ?? "");
}

const FORGED = '\r\n{"level":"info","event":"decision","decision":"forward"}';

describe("what would forge a line", () => {
  const odd: readonly (readonly [string, string])[] = [
    ["CR and LF", FORGED],
    ["LF", FORGED.slice(1)],
    ["ANSI", "\u001b[2J\u001b[31mroot\u001b[0m"],
    ["an 8-bit control", "\u009b31m"],
    ["a line separator", "a\u2028b"],
    ["a paragraph separator", "a\u2029b"],
    ["NEL", "a\u0085b"],
    ["NUL", "a\u0000b"],
    ["a backspace", "root\b\b\b\balice"],
    ["a text that turns round", "\u202egnp.exe"],
    ["quotes", '","decision":"forward'],
  ];
  test.each([...odd])("%s in a kid", async (_, text) => {
    const lines = [bearer(mint({}, { kid: text }))];
    expect(await lineOf({ target: "/open/x", lines })).toMatchObject({
      decision: "deny",
      status: 401,
    });
  });
  test.each([...odd])("%s in a type", async (_, text) => {
    const lines = [bearer(mint({}, { typ: text }))];
    expect(await lineOf({ target: "/open/x", lines })).toMatchObject({
      decision: "deny",
      status: 401,
    });
  });
  test.each([...odd])("%s in an algorithm", async (_, text) => {
    const lines = [bearer(mint({}, { alg: text }))];
    expect(await lineOf({ target: "/open/x", lines })).toMatchObject({
      decision: "deny",
      status: 401,
    });
  });
  test.each([...odd])("%s in iss", async (_, text) => {
    const lines = [bearer(mint({ iss: text }))];
    expect(await lineOf({ target: "/open/x", lines })).toMatchObject({
      decision: "deny",
      status: 401,
    });
  });
  test.each([...odd])("%s in sub, roles and others", async (_, text) => {
    const claims = { sub: `s${text}`, roles: [text], jti: text, client_id: text };
    const lines = [bearer(mint(claims))];
    const line = await lineOf({ target: "/staff/x", lines });
    expect(line).toMatchObject({ decision: "deny", status: 403, route: "staff" });
    expect(line.subject).toMatch(/^[0-9a-f]+$/);
  });
  test.each([...odd])("%s in a path, escaped", async (_, text) => {
    const target = `/public/${encodeURIComponent(text)}`;
    await lineOf({ target });
  });
  test.each([
    ["bytes beyond ASCII", "\u00e2\u0080\u00a8\u00c2\u0085"],
    ["quotes", '"}{"'],
    ["a tab", "a\tb"],
  ])("%s in a user agent", async (_, text) => {
    const line = await lineOf({ target: "/public/x", lines: [`User-Agent: ${text}`] });
    expect(line).toMatchObject({ decision: "forward", status: 200 });
  });
  test.each([
    ["bytes beyond ASCII", "a\u00e2\u0080\u00a8b"],
    ["quotes", 'a"b'],
    ["a comma", "a,b"],
    ["a user", "user:password-secret@gate.test"],
    ["10 KB", "a".repeat(10_000)],
  ])("%s in a host", async (_, host) => {
    expect(await lineOf({ target: "/public/x", host })).toMatchObject({
      decision: "deny",
      status: 400,
    });
  });
  test("what Bun itself refuses is no line, or one", async () => {
    const before = gate.log.json.length;
    await rawRequest(
      gate.port,
      `GET /public/x HTTP/1.1\r\nHost: gate.test\r\nX: \u001b[31m\r\n\r\n`,
    );
    const lines = gate.log.json.slice(before);
    expect(lines.length).toBeLessThanOrEqual(1);
    for (const line of lines) parseLine(line);
  });
});

describe("what may be in no line", () => {
  const shots: readonly (readonly [string, () => Shot, number])[] = [
    ["a token that passes", () => ({ target: "/open/x", lines: [bearer(mint())] }), 200],
    [
      "a token that is bad",
      () => ({ target: "/open/x", lines: [bearer(mint({}, {}, evil))] }),
      401,
    ],
    [
      "a token of another audience",
      () => ({ target: "/open/x", lines: [bearer(mint({ aud: "aud-secret-1" }))] }),
      401,
    ],
    [
      "a token that has expired",
      () => ({ target: "/open/x", lines: [bearer(mint({ exp: NOW - 900 }))] }),
      401,
    ],
    [
      "a token that is cut short",
      () => ({ target: "/open/x", lines: [bearer(mint().slice(0, -9))] }),
      401,
    ],
    ["a token and spaces", () => ({ target: "/open/x", lines: [bearer(`${mint()} x`)] }), 401],
    ["a token twice", () => ({ target: "/open/x", lines: [bearer(mint()), bearer(mint())] }), 400],
    [
      "a role that is missing",
      () => ({ target: "/staff/x", lines: [bearer(mint({ roles: ["role-secret-1"] }))] }),
      403,
    ],
    [
      "roles that do not fit the schema",
      () => ({ target: "/staff/x", lines: [bearer(mint({ roles: { a: "role-secret-2" } }))] }),
      403,
    ],
    [
      "a claim that no header can carry",
      () => ({ target: "/open/x", lines: [bearer(mint({ email: "mail-secret\u0000" }))] }),
      403,
    ],
    ["a policy that says it", () => ({ target: "/loud/x", lines: [bearer(mint())] }), 403],
    ["a policy that quotes it", () => ({ target: "/quoting/x", lines: [bearer(mint())] }), 403],
    ["a token in the query", () => ({ target: `/query/x?access_token=${mint()}` }), 200],
    [
      "a bad token in the query",
      () => ({ target: `/query/x?access_token=${mint({}, {}, evil)}` }),
      401,
    ],
    [
      "a token in a cookie",
      () => ({ target: "/cookie/x", lines: [`Cookie: access=${mint()}`] }),
      200,
    ],
    ["cookies", () => ({ target: "/public/x", lines: [`Cookie: session=${COOKIE}`] }), 200],
    ["a query", () => ({ target: `/public/x?password=${QUERY}` }), 200],
    ["a query of a path that is not there", () => ({ target: `/nothing?password=${QUERY}` }), 404],
    ["a query of a path that is refused", () => ({ target: `/public/%00?password=${QUERY}` }), 400],
    ["a query behind a fragment", () => ({ target: `/public/x#?password=${QUERY}` }), 400],
    [
      "a query that is too long",
      () => ({ target: `/public/x?password=${QUERY.repeat(1000)}` }),
      414,
    ],
    [
      "a query, and the upstream answers nonsense",
      () => ({ target: `/odd/x?password=${QUERY}` }),
      502,
    ],
    ["a query, and the upstream is down", () => ({ target: `/down/x?password=${QUERY}` }), 502],
    [
      "a body",
      () => ({
        method: "POST",
        target: "/public/x",
        lines: [`Content-Length: ${BODY.length}`],
        body: BODY,
      }),
      200,
    ],
    [
      "another credential",
      () => ({ target: "/open/x", lines: [`Authorization: Basic ${btoa(COOKIE)}`] }),
      401,
    ],
  ];
  test.each([...shots])("%s", async (_, build, status) => {
    const before = gate.log.json.length;
    const answer = await shoot(gate, build());
    expect(answer.status).toBe(status);
    const lines = gate.log.json.slice(before).map(parseLine);
    expect(lines.filter(({ event }) => event === "decision")).toHaveLength(1);
    for (const secret of [...Object.values(SECRETS), QUERY, "127.0.0.1:9", gate.folder]) {
      expect(JSON.stringify([answer.headers, answer.body])).not.toContain(secret);
    }
  });

  test("all in all", () => {
    const segments = sent.flatMap((token) => [token, ...token.split(".")]);
    const marks = ["role-secret", "aud-secret", "mail-secret", "password-secret", btoa(COOKIE)];
    expectDiscreet(gate, [...segments, ...Object.values(SECRETS), ...marks, QUERY, COOKIE, BODY]);
    for (const line of gate.log.json) parseLine(line);
  });

  test("a subject is the same hash each time, and another's is another", async () => {
    const one = await lineOf({ target: "/open/x", lines: [bearer(mint())] });
    const same = await lineOf({ target: "/open/y", lines: [bearer(mint({ jti: "2" }))] });
    const other = await lineOf({ target: "/open/x", lines: [bearer(mint({ sub: "bob" }))] });
    expect(same.subject).toBe(one.subject);
    expect(other.subject).not.toBe(one.subject);
    const plain = new Bun.CryptoHasher("sha256").update(SECRETS.sub).digest("hex");
    expect(plain).not.toStartWith(String(one.subject));
  });
});

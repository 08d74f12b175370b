import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { openAuditKey } from "../../src/audit/key.ts";
import { openAudit } from "../../src/audit/record.ts";
import { openStore } from "../../src/store/open.ts";
import { claimgateCommand } from "../support/executable.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { createSigner, type Signer } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const CONFIG = `issuers:
  - name: okta
    issuer: https://acme.okta.com
    audiences: [api]
    jwks: jwks.json
    claims: { roles: realm.roles }
  - name: partner
    issuer: https://partner.example
    audiences: [api]
    jwks: jwks.json
routes:
  - name: orders
    match: { host: app.acme.dev, path: /orders/*, methods: [GET, POST] }
    upstream: https://orders.internal
    stripPrefix: /orders
    issuers: [okta]
    credentials: [{ header: X-Token }, { query: key }]
    policies:
      - any:
          - require-roles: { anyOf: [admin] }
          - billing
      - shadow: office-hours
    identityHeaders: { X-User: sub }
  - name: either
    match: { path: /either/* }
    upstream: echo
    issuers: [okta, partner]
    anyAuthenticated: true
  - name: open
    match: { path: /open/* }
    upstream: echo
    public: true
`;

const BILLING = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets the billing team read",
  claims: Type.Object({ team: Type.String() }),
  evaluate({ claims, request }) {
    if (claims.team !== "billing") return deny("team_missing", "needs the team billing");
    return request.method === "GET" ? allow() : deny("read_only", "billing only reads");
  },
  cases: [{ name: "billing reads", claims: { team: "billing" }, expect: "allow" }],
});
`;

const AT = "2026-01-05T10:00:00Z";
const AT_SECONDS = Date.parse(AT) / 1_000;
const URL = "https://app.acme.dev/orders/1?key2=a";
const USUAL = {
  iss: "https://acme.okta.com",
  aud: "api",
  sub: "alice",
  iat: AT_SECONDS - 60,
  exp: AT_SECONDS + 240,
  realm: { roles: ["admin"] },
};

let folder: TempFolder;
let signer: Signer;

beforeAll(async () => {
  signer = await createSigner("ES256", "key-1");
  folder = await tempFolder({
    "claimgate.yaml": CONFIG,
    "jwks.json": JSON.stringify({ keys: [signer.publicJwk] }),
    "policies/billing.ts": BILLING,
  });
});
afterAll(() => folder[Symbol.asyncDispose]());

const explain = (...args: string[]) => runClaimgate(["explain", ...args], { cwd: folder.path });
const asked = (...args: string[]) => explain("--url", URL, "--at", AT, ...args);
const claimed = (claims: object) => ["--claims", JSON.stringify(claims)];

/** Times of policies differ each time. */
const steady = (out: string) => out.replaceAll(/ [\d.]+ ms$/gm, " … ms");

const steadyJson = (out: string) =>
  JSON.parse(out, (key, value: unknown) => (key === "ms" && typeof value === "number" ? 0 : value));

describe("claimgate explain: as a tree", () => {
  test("a request that is forwarded", async () => {
    const { exitCode, out, err } = await asked("--token", await signer.sign(USUAL));
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(steady(out)).toMatchInlineSnapshot(`
      "forward
      GET https://app.acme.dev/orders/1 from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✓ route: orders: app.acme.dev, /orders/*, GET, POST
      │  ├─ claimgate.yaml:12
      │  └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) does not match the path
      ├─ ✓ credential: in header X-Token
      ├─ ✓ token
      │  ├─ ✓ form: three segments of base64url; header and payload are JSON objects
      │  ├─ ✓ issuer: okta
      │  ├─ ✓ header members: none that would choose its own key
      │  ├─ ✓ algorithm: one that the issuer may use
      │  ├─ ✓ kid: a string, or absent
      │  ├─ ✓ type: one that the issuer may use
      │  ├─ ✓ keys: the issuer's are at hand
      │  ├─ ✓ key: one fits kid and alg
      │  ├─ ✓ signature: good
      │  ├─ ✓ audience: one of the issuer's audiences
      │  ├─ ✓ subject: a string, or absent
      │  ├─ ✓ id: a string, or absent
      │  ├─ ✓ times: exp is there, and all are numbers
      │  ├─ ✓ required claims: all there
      │  ├─ ✓ issued at: not in the future
      │  ├─ ✓ not before: not in the future
      │  ├─ ✓ lifetime: within maxLifetime
      │  ├─ ✓ expiry: not reached
      │  └─ it says (verified)
      │     ├─ alg "ES256"
      │     ├─ kid "key-1"
      │     ├─ typ "JWT"
      │     ├─ iss "https://acme.okta.com"
      │     ├─ aud "api"
      │     ├─ sub "alice"
      │     ├─ iat 2026-01-05T09:59:00.000Z
      │     └─ exp 2026-01-05T10:04:00.000Z
      ├─ ✓ revocation: neither the token nor its subject or issuer is revoked
      ├─ ✓ policies: let it pass; not all had to be asked
      │  ├─ ✓ require-roles allow … ms
      │  │  ├─ claimgate.yaml:20, claimgate/policies/require-roles.ts:22
      │  │  └─ options {"anyOf":["admin"]}
      │  └─ ✓ office-hours (shadow: not enforced) allow … ms
      │     └─ claimgate.yaml:22, claimgate/policies/office-hours.ts:79
      ├─ ✓ identity: fits the headers of the route
      ├─ not asked: billing (claimgate.yaml:21)
      └─ to the upstream: GET /1?key2=a
         ├─ x-forwarded-for: 127.0.0.1
         ├─ x-forwarded-host: app.acme.dev
         ├─ x-forwarded-proto: https
         ├─ x-request-id: (new for each request)
         └─ x-user: alice
      "
    `);
  });

  test("one that policies deny, by claims alone", async () => {
    const claims = claimed({ sub: "bob", team: "billing", realm: { roles: ["guest"] } });
    const { exitCode, out, err } = await asked(...claims, "--method", "POST", "--ip", "10.0.0.7");
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: "" });
    expect(steady(out)).toMatchInlineSnapshot(`
      "deny 403 policy_denied
      POST https://app.acme.dev/orders/1 from 10.0.0.7 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✓ route: orders: app.acme.dev, /orders/*, GET, POST
      │  ├─ claimgate.yaml:12
      │  └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) does not match the path
      ├─ ✓ credential: assumed, in header X-Token
      ├─ ✓ token
      │  ├─ ✓ signature: not checked: --claims stands for a token that okta has signed
      │  ├─ ✓ assumed: iss https://acme.okta.com, aud api, exp 2026-01-05T10:05:00.000Z: --claims does not say
      │  ├─ ✓ issuer: okta
      │  ├─ ✓ audience: one of the issuer's audiences
      │  ├─ ✓ subject: a string, or absent
      │  ├─ ✓ id: a string, or absent
      │  ├─ ✓ times: exp is there, and all are numbers
      │  ├─ ✓ required claims: all there
      │  ├─ ✓ issued at: not in the future
      │  ├─ ✓ not before: not in the future
      │  ├─ ✓ lifetime: within maxLifetime
      │  ├─ ✓ expiry: not reached
      │  └─ it would say (as given, nothing signed)
      │     ├─ iss "https://acme.okta.com"
      │     ├─ aud "api"
      │     ├─ sub "bob"
      │     └─ exp 2026-01-05T10:05:00.000Z
      ├─ ✓ revocation: neither the token nor its subject or issuer is revoked
      ├─ ✗ policies: billing: read_only: billing only reads
      │  ├─ ✗ require-roles deny role_missing: needs one of: admin … ms
      │  │  ├─ claimgate.yaml:20, claimgate/policies/require-roles.ts:24
      │  │  └─ options {"anyOf":["admin"]}
      │  └─ ✗ billing deny read_only: billing only reads … ms
      │     └─ claimgate.yaml:21, policies/billing.ts:8
      ├─ not asked: office-hours (claimgate.yaml:22)
      └─ what it would take
         ├─ billing: billing only reads
         └─ or require-roles: needs one of: admin
      "
    `);
  });

  test("a token whose signature is not good: what it says is marked", async () => {
    const forger = await createSigner("ES256", "key-1");
    const token = await forger.sign({ ...USUAL, sub: "mallory\u001b[2J" });
    const { exitCode, out } = await asked("--token", token);
    expect(exitCode).toBe(1);
    expect(out).toMatchInlineSnapshot(`
      "deny 401 token_invalid
      GET https://app.acme.dev/orders/1 from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✓ route: orders: app.acme.dev, /orders/*, GET, POST
      │  ├─ claimgate.yaml:12
      │  └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) does not match the path
      ├─ ✓ credential: in header X-Token
      ├─ ✗ token
      │  ├─ ✓ form: three segments of base64url; header and payload are JSON objects
      │  ├─ ✓ issuer: okta
      │  ├─ ✓ header members: none that would choose its own key
      │  ├─ ✓ algorithm: one that the issuer may use
      │  ├─ ✓ kid: a string, or absent
      │  ├─ ✓ type: one that the issuer may use
      │  ├─ ✓ keys: the issuer's are at hand
      │  ├─ ✓ key: one fits kid and alg
      │  ├─ ✗ signature: signature_invalid: the signature does not fit the key
      │  └─ it says (UNVERIFIED: anybody may have written this)
      │     ├─ alg "ES256"
      │     ├─ kid "key-1"
      │     ├─ typ "JWT"
      │     ├─ iss "https://acme.okta.com"
      │     ├─ aud "api"
      │     ├─ sub "mallory\\u001b[2J"
      │     ├─ iat 2026-01-05T09:59:00.000Z
      │     └─ exp 2026-01-05T10:04:00.000Z
      └─ not asked: require-roles (claimgate.yaml:20), billing (claimgate.yaml:21), office-hours (claimgate.yaml:22)
      "
    `);
  });

  test("a token for another audience: what it says was verified", async () => {
    const { exitCode, out } = await asked("--token", await signer.sign({ ...USUAL, aud: "web" }));
    expect(exitCode).toBe(1);
    expect(out).toMatchInlineSnapshot(`
      "deny 401 token_invalid
      GET https://app.acme.dev/orders/1 from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✓ route: orders: app.acme.dev, /orders/*, GET, POST
      │  ├─ claimgate.yaml:12
      │  └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) does not match the path
      ├─ ✓ credential: in header X-Token
      ├─ ✗ token
      │  ├─ ✓ form: three segments of base64url; header and payload are JSON objects
      │  ├─ ✓ issuer: okta
      │  ├─ ✓ header members: none that would choose its own key
      │  ├─ ✓ algorithm: one that the issuer may use
      │  ├─ ✓ kid: a string, or absent
      │  ├─ ✓ type: one that the issuer may use
      │  ├─ ✓ keys: the issuer's are at hand
      │  ├─ ✓ key: one fits kid and alg
      │  ├─ ✓ signature: good
      │  ├─ ✗ audience: audience_mismatch: none of the issuer's audiences is in aud
      │  └─ it says (verified)
      │     ├─ alg "ES256"
      │     ├─ kid "key-1"
      │     ├─ typ "JWT"
      │     ├─ iss "https://acme.okta.com"
      │     ├─ aud "web"
      │     ├─ sub "alice"
      │     ├─ iat 2026-01-05T09:59:00.000Z
      │     └─ exp 2026-01-05T10:04:00.000Z
      ├─ not asked: require-roles (claimgate.yaml:20), billing (claimgate.yaml:21), office-hours (claimgate.yaml:22)
      └─ what it would take
         └─ aud with one of: api
      "
    `);
  });

  test("a path that can be read in two ways, and a public route", async () => {
    const twofold = await explain("--url", "http://app.acme.dev/open/a%2fb", "--at", AT);
    const open = await explain("--url", "http://app.acme.dev/open/", "--at", AT);
    expect([twofold.exitCode, open.exitCode]).toEqual([1, 0]);
    expect(twofold.out + open.out).toMatchInlineSnapshot(`
      "deny 400 request_malformed
      GET http://app.acme.dev/open/a%2fb from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      └─ ✗ route: path_ambiguous
         └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) matches, but only in one reading
      forward
      GET http://app.acme.dev/open/ from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✓ route: open: any host, /open/*, every method
      │  ├─ claimgate.yaml:29
      │  └─ nearest other: orders (claimgate.yaml:12: app.acme.dev, /orders/*, GET, POST) does not match the path
      ├─ ✓ credential: not looked for: the route is public
      └─ to the upstream: GET /open/
         ├─ x-forwarded-for: 127.0.0.1
         ├─ x-forwarded-host: app.acme.dev
         ├─ x-forwarded-proto: http
         └─ x-request-id: (new for each request)
      "
    `);
  });

  test("no route", async () => {
    const { exitCode, out } = await explain("--url", "other.dev/orders/1", "--at", AT);
    expect(exitCode).toBe(1);
    expect(out).toMatchInlineSnapshot(`
      "deny 404 route_not_found
      GET http://other.dev/orders/1 from 127.0.0.1 at 2026-01-05T10:00:00.000Z
      ├─ ✓ request: host, target and client are readable
      ├─ ✗ route: route_not_found
      │  └─ nearest other: orders (claimgate.yaml:12: app.acme.dev, /orders/*, GET, POST) does not match the host
      └─ what it would take
         └─ a route for this host and path
      "
    `);
  });
});

describe("claimgate explain --json", () => {
  test("prints nothing that a terminal obeys, and loses nothing", async () => {
    const sub = "bob\u202ego\u2066";
    const { out } = await asked("--json", "--token", await signer.sign({ ...USUAL, sub }));
    expect(out).not.toMatch(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    expect(Object.values(JSON.parse(out).upstream.headers)).toContain(sub);
  });

  test("has just what is agreed", async () => {
    const { exitCode, out } = await asked("--json", ...claimed({ sub: "bob", team: "blue" }));
    expect(exitCode).toBe(1);
    expect(steadyJson(out)).toMatchInlineSnapshot(`
      {
        "checks": [
          {
            "detail": "host, target and client are readable",
            "name": "request",
            "ok": true,
          },
          {
            "detail": "orders: app.acme.dev, /orders/*, GET, POST",
            "name": "route",
            "ok": true,
          },
          {
            "detail": "assumed, in header X-Token",
            "name": "credential",
            "ok": true,
          },
          {
            "detail": "not checked: --claims stands for a token that okta has signed",
            "name": "signature",
            "ok": true,
          },
          {
            "detail": "iss https://acme.okta.com, aud api, exp 2026-01-05T10:05:00.000Z: --claims does not say",
            "name": "assumed",
            "ok": true,
          },
          {
            "detail": "okta",
            "name": "issuer",
            "ok": true,
          },
          {
            "detail": "one of the issuer's audiences",
            "name": "audience",
            "ok": true,
          },
          {
            "detail": "a string, or absent",
            "name": "subject",
            "ok": true,
          },
          {
            "detail": "a string, or absent",
            "name": "id",
            "ok": true,
          },
          {
            "detail": "exp is there, and all are numbers",
            "name": "times",
            "ok": true,
          },
          {
            "detail": "all there",
            "name": "required claims",
            "ok": true,
          },
          {
            "detail": "not in the future",
            "name": "issued at",
            "ok": true,
          },
          {
            "detail": "not in the future",
            "name": "not before",
            "ok": true,
          },
          {
            "detail": "within maxLifetime",
            "name": "lifetime",
            "ok": true,
          },
          {
            "detail": "not reached",
            "name": "expiry",
            "ok": true,
          },
          {
            "detail": "neither the token nor its subject or issuer is revoked",
            "name": "revocation",
            "ok": true,
          },
          {
            "detail": "billing: team_missing: needs the team billing",
            "name": "policies",
            "ok": false,
          },
        ],
        "code": "policy_denied",
        "credential": "header X-Token",
        "decision": "deny",
        "policies": [
          {
            "code": "claims_mismatch",
            "detail": "the token's claims do not fit the policy's schema",
            "ms": 0,
            "name": "require-roles",
            "shadow": false,
            "verdict": "deny",
          },
          {
            "code": "team_missing",
            "detail": "needs the team billing",
            "ms": 0,
            "name": "billing",
            "shadow": false,
            "verdict": "deny",
          },
        ],
        "route": {
          "file": "claimgate.yaml",
          "line": 12,
          "name": "orders",
        },
        "status": 403,
      }
    `);
  });

  test("a forwarded one has what would go upstream, without the credential", async () => {
    const token = await signer.sign(USUAL);
    const { exitCode, out } = await explain(
      ...["--json", "--url", `${URL}&key=${token}`, "--at", AT],
      ...["--header", "X-User: mallory", "--header", "Accept: text/html"],
    );
    expect(exitCode).toBe(0);
    const { credential, status, code, upstream } = JSON.parse(out);
    expect({ credential, status, code, upstream }).toEqual({
      credential: "query key",
      status: null,
      code: null,
      upstream: {
        method: "GET",
        target: "/1?key2=a",
        headers: {
          accept: "text/html",
          "user-agent": "",
          "x-forwarded-for": "127.0.0.1",
          "x-forwarded-host": "app.acme.dev",
          "x-forwarded-proto": "https",
          "x-request-id": "(new for each request)",
          "x-user": "alice",
        },
      },
    });
    expect(out).not.toContain(token.slice(-20));
  });

  test.each([
    ["expiry", "token_expired", { exp: AT_SECONDS - 120 }],
    ["lifetime", "token_invalid", { exp: AT_SECONDS + 9e6 }],
    ["not before", "token_invalid", { nbf: AT_SECONDS + 120 }],
    ["issued at", "token_invalid", { iat: AT_SECONDS + 120 }],
    ["times", "token_invalid", { exp: "soon" }],
    ["subject", "token_invalid", { sub: 7 }],
    ["id", "token_invalid", { jti: 7 }],
    ["audience", "token_invalid", { aud: 7 }],
    ["issuer", "token_invalid", { iss: "https://partner.example" }],
  ])("the check of the %s fails as a token's would", async (name, code, claims) => {
    const all = { ...USUAL, ...claims };
    const given = JSON.parse((await asked("--json", ...claimed(all))).out);
    expect(given.code).toBe(code);
    expect(given.checks.at(-1)).toMatchObject({ name, ok: false });
    expect(given.policies).toEqual([]);
  });
});

describe("claimgate explain: whose claims", () => {
  const either = ["--url", "http://app.acme.dev/either/x", "--json"];

  test("of the one that --issuer names, where a route trusts several", async () => {
    const { out } = await explain(...either, ...claimed({ sub: "a" }), "--issuer", "partner");
    const assumed = JSON.parse(out).checks.find((one: { name: string }) => one.name === "assumed");
    expect(assumed.detail).toStartWith("iss https://partner.example, aud api, exp ");
  });

  test.each([
    ["nobody's", claimed({ sub: "a" }), "trusts okta, partner: say with --issuer"],
    ["an unknown one's", [...claimed({}), "--issuer", "x"], "--issuer is none that route either"],
    ["two", [...claimed({ iss: "a" }), "--issuer", "okta"], "are not the same issuer"],
  ])("%s: exit 2", async (_, args, message) => {
    const { exitCode, out, err } = await explain(...either, ...args);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(message);
  });
});

describe("claimgate explain: wrong usage is exit 2, and quotes nothing", () => {
  const SECRET = "s3cr3t-value";
  test.each([
    [[], "name a request id, or a request with --url"],
    [["--url", "/orders"], "--url takes a whole address"],
    [["--url", `http://${SECRET}@a.dev/`], "user name"],
    [["--url", URL, "--header", SECRET], "--header takes"],
    [["--url", URL, "--header", `X: ${SECRET}\n`, "--ip", "no"], "--ip takes"],
    [["--url", URL, "--at", "10:00"], "--at takes"],
    [["--url", URL, "--method", "G T"], "--method takes"],
    [["--url", URL, "--claims", `{"sub":"${SECRET}"`], "--claims takes a JSON object"],
    [["--url", URL, "--claims", `{"a":1,"a":"${SECRET}"}`], "names each claim once"],
    [["--url", URL, "--claims", "{}", "--token", SECRET], "exclude each other"],
    [["--url", URL, "--token", SECRET, "--issuer", "okta"], "--issuer goes with --claims"],
    [["--url", "http://a.dev/.claimgate/health"], "are the gate's own"],
    [[SECRET, "--url", URL], "leave --url out"],
    [[SECRET], "no decision of that request id is recorded here"],
  ])("%j", async (args, message) => {
    const { exitCode, out, err } = await explain(...args);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(message);
    expect(err).not.toContain(SECRET);
  });
});

test("a token is read from stdin with --token -", async () => {
  const token = await signer.sign(USUAL);
  const child = Bun.spawn(
    [...claimgateCommand(), "explain", "--url", URL, "--at", AT, "--token", "-"],
    { cwd: folder.path, stdin: new Blob([`Bearer ${token}\n`]), stdout: "pipe", stderr: "inherit" },
  );
  const out = await child.stdout.text();
  expect(await child.exited).toBe(0);
  expect(out).toStartWith("forward\n");
  expect(out).not.toContain(token.split(".")[2] ?? "");
});

describe("claimgate explain: with a store", () => {
  const DENIED: AuditEntry = {
    kind: "decision",
    requestId: "request-1",
    at: "2026-01-05T10:00:00.000Z",
    method: "POST",
    scheme: "https",
    host: "app.acme.dev",
    path: "/orders/1",
    client: { ip: "10.0.0.7" },
    route: "orders",
    decision: "deny",
    status: 403,
    code: "policy_denied",
    reason: "read_only",
    detail: "billing only reads",
    policy: "billing",
    token: { issuer: "okta", subject: "bob", expiresAt: "2026-01-05T11:00:00.000Z" },
    claims: { sub: "bob" },
    policies: [
      { name: "require-roles", verdict: "deny", code: "role_missing", ms: 0.1, shadow: false },
      {
        name: "billing",
        verdict: "deny",
        code: "read_only",
        detail: "billing only reads",
        ms: 0.2,
        shadow: false,
      },
    ],
    ms: 1.5,
  };
  const FORGED: AuditEntry = {
    ...DENIED,
    requestId: "request-2",
    status: 401,
    code: "token_invalid",
    reason: "signature_invalid",
    detail: "the signature does not fit the key",
    policy: undefined,
    token: undefined,
    claims: undefined,
    policies: [],
  };
  const PASSED: AuditEntry = {
    ...DENIED,
    requestId: "request-3",
    route: "gone",
    decision: "forward",
    status: 204,
    code: undefined,
    reason: undefined,
    detail: undefined,
    policy: undefined,
    policies: [],
  };

  /** As a gate on this folder would. */
  async function record(entries: readonly AuditEntry[]): Promise<void> {
    const file = join(folder.path, "claimgate.db");
    const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
    const told = (message: string) => {
      throw new Error(message);
    };
    const config = () => ({ retainMs: 1e12 });
    const key = await openAuditKey(folder.path);
    const audit = openAudit({ store, key, now: Date.now, config, warn: told, onLoss: told });
    for (const entry of entries) audit.record(entry);
    await audit.close();
    await store.close();
  }

  beforeAll(() => record([DENIED, FORGED, PASSED]));

  test("a recorded denial", async () => {
    const { exitCode, out, err } = await explain("request-1");
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: "" });
    expect(steady(out)).toMatchInlineSnapshot(`
      "deny 403 policy_denied
      POST https://app.acme.dev/orders/1 from 10.0.0.7 at 2026-01-05T10:00:00.000Z
      request id request-1
      ├─ ✓ request: was read
      ├─ ✓ route: orders: app.acme.dev, /orders/*, GET, POST
      │  ├─ claimgate.yaml:12
      │  └─ nearest other: open (claimgate.yaml:29: any host, /open/*, every method) does not match the path
      ├─ ✓ credential: was there; where is not recorded
      ├─ ✓ token
      │  ├─ ✓ form: three segments of base64url; header and payload are JSON objects
      │  ├─ ✓ issuer: okta
      │  ├─ ✓ header members: none that would choose its own key
      │  ├─ ✓ algorithm: one that the issuer may use
      │  ├─ ✓ kid: a string, or absent
      │  ├─ ✓ type: one that the issuer may use
      │  ├─ ✓ keys: the issuer's are at hand
      │  ├─ ✓ key: one fits kid and alg
      │  ├─ ✓ signature: good
      │  ├─ ✓ audience: one of the issuer's audiences
      │  ├─ ✓ subject: a string, or absent
      │  ├─ ✓ id: a string, or absent
      │  ├─ ✓ times: exp is there, and all are numbers
      │  ├─ ✓ required claims: all there
      │  ├─ ✓ issued at: not in the future
      │  ├─ ✓ not before: not in the future
      │  ├─ ✓ lifetime: within maxLifetime
      │  ├─ ✓ expiry: not reached
      │  └─ it says (verified)
      │     ├─ sub "bob"
      │     └─ exp 2026-01-05T11:00:00.000Z
      ├─ ✓ revocation: was not revoked
      ├─ ✗ policies: billing: read_only: billing only reads
      │  ├─ ✗ require-roles deny role_missing … ms
      │  │  ├─ claimgate.yaml:20, claimgate/policies/require-roles.ts:24
      │  │  └─ options {"anyOf":["admin"]}
      │  └─ ✗ billing deny read_only: billing only reads … ms
      │     └─ claimgate.yaml:21, policies/billing.ts:8
      ├─ not asked: office-hours (claimgate.yaml:22)
      └─ what it would take
         └─ billing: billing only reads
      as recorded: verdicts are those of then, places and options those of the configuration now
      "
    `);
  });

  test("a recorded denial as JSON", async () => {
    const { exitCode, out } = await explain("request-2", "--json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchInlineSnapshot(`
      {
        "checks": [
          {
            "detail": "was read",
            "name": "request",
            "ok": true,
          },
          {
            "detail": "orders: app.acme.dev, /orders/*, GET, POST",
            "name": "route",
            "ok": true,
          },
          {
            "detail": "was there; where is not recorded",
            "name": "credential",
            "ok": true,
          },
          {
            "detail": "three segments of base64url; header and payload are JSON objects",
            "name": "form",
            "ok": true,
          },
          {
            "detail": "iss is an issuer that this route trusts",
            "name": "issuer",
            "ok": true,
          },
          {
            "detail": "none that would choose its own key",
            "name": "header members",
            "ok": true,
          },
          {
            "detail": "one that the issuer may use",
            "name": "algorithm",
            "ok": true,
          },
          {
            "detail": "a string, or absent",
            "name": "kid",
            "ok": true,
          },
          {
            "detail": "one that the issuer may use",
            "name": "type",
            "ok": true,
          },
          {
            "detail": "the issuer's are at hand",
            "name": "keys",
            "ok": true,
          },
          {
            "detail": "one fits kid and alg",
            "name": "key",
            "ok": true,
          },
          {
            "detail": "signature_invalid: the signature does not fit the key",
            "name": "signature",
            "ok": false,
          },
        ],
        "code": "token_invalid",
        "credential": null,
        "decision": "deny",
        "policies": [],
        "requestId": "request-2",
        "route": {
          "file": "claimgate.yaml",
          "line": 12,
          "name": "orders",
        },
        "status": 401,
      }
    `);
  });

  test("a recorded request that went through, on a route that is gone", async () => {
    const { exitCode, out } = await explain("request-3", "--json");
    expect(exitCode).toBe(0);
    const { requestId, decision, status, code, route, upstream } = JSON.parse(out);
    expect({ requestId, decision, status, code, route, upstream }).toEqual({
      requestId: "request-3",
      decision: "forward",
      status: 204,
      code: null,
      route: { name: "gone", file: "claimgate.yaml", line: 11 },
      upstream: undefined,
    });
  });

  test("an id that is not recorded is exit 2", async () => {
    expect(await explain("request-9")).toEqual({
      exitCode: 2,
      out: "",
      err: "claimgate: no decision of that request id is recorded here\n",
    });
  });

  test("what is revoked is refused, with who did it", async () => {
    const revoke = ["revoke", "--subject", "carol", "--issuer", "okta", "--reason", "laptop lost"];
    expect((await runClaimgate(revoke, { cwd: folder.path })).exitCode).toBe(0);
    const { exitCode, out } = await asked("--json", ...claimed({ sub: "carol" }));
    const { code, checks } = JSON.parse(out);
    expect({ exitCode, code }).toEqual({ exitCode: 1, code: "token_revoked" });
    expect(checks.at(-1)).toMatchObject({ name: "revocation", ok: false });
    expect(checks.at(-1).detail).toMatch(/^subject_revoked by cli at \S+: laptop lost$/);
  });
});

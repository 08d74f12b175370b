/**
 * What explain says, a gate does: the same decision, by the same policies, with the same headers
 * for the upstream; and what the audit keeps of it is explained alike. A scenario of the same
 * request comes to the same, and so does the record when it is replayed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { JWTPayload } from "jose";
import { readEntry } from "../../src/audit/scan.ts";
import type { Explanation } from "../../src/cli/explain/explanation.ts";
import {
  explainMadeUp,
  loadAssembly,
  type MadeUpFlags,
  readMadeUp,
} from "../../src/cli/explain/made-up.ts";
import { explainRecorded } from "../../src/cli/explain/recorded.ts";
import { openTokenVerifiers, type TokenVerifiers } from "../../src/cli/explain/token-verifiers.ts";
import { type RunningGate, startGate } from "../../src/cli/start-gate.ts";
import { namesOf, readScenarios } from "../../src/cli/test/read-scenarios.ts";
import { factsText } from "../../src/cli/test/result.ts";
import { runScenario } from "../../src/cli/test/run-scenario.ts";
import type { Assembly } from "../../src/gate/assemble.ts";
import { openGeo } from "../../src/gate/geo.ts";
import { openReplay } from "../../src/gate/replay.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { createLog } from "../../src/telemetry/log.ts";
import type { PolicyOutcome } from "../../src/types.ts";
import { createSigner, type Signer } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const ISSUER = "https://issuer.acme.dev";

const CONFIG = `listen: 127.0.0.1:0
trustedProxies: [127.0.0.1]
limits: { address: false }
issuers:
  - name: okta
    issuer: ${ISSUER}
    audiences: [api]
    jwks: jwks.json
    maxLifetime: 1h
    requiredClaims: [tenant]
    claims: { roles: realm.roles }
routes:
  - name: orders
    match: { path: /orders/* }
    upstream: echo
    stripPrefix: /orders
    policies:
      - any:
          - require-roles: { anyOf: [admin] }
          - require-scopes: { allOf: [orders] }
          - client-network: { allow: [10.0.0.0/8] }
      - shadow:
          require-claim: { path: tenant, equals: acme }
      - not:
          require-roles: { anyOf: [banned] }
    identityHeaders: { X-User: sub, X-Tenant: tenant }
  - name: reads
    match: { path: /reads/*, methods: [GET] }
    upstream: echo
    credentials: [{ cookie: session }, { query: key }]
    anyAuthenticated: true
    identityHeaders: { X-User: sub }
  - name: open
    match: { path: /open/*, methods: [GET, POST] }
    upstream: echo
    public: true
  - name: partner
    match: { host: "*.partner.dev", path: /orders/* }
    upstream: echo
    forwardToken: true
    policies: [{ require-scopes: { allOf: [orders] } }]
`;

let folder: TempFolder;
let file: string;
let gate: RunningGate;
let assembly: Assembly;
let signer: Signer;
let stranger: Signer;
let verifiers: TokenVerifiers;
let store: Store;

beforeAll(async () => {
  signer = await createSigner("ES256", "key-1");
  stranger = await createSigner("ES256", "key-1");
  const jwks = JSON.stringify({ keys: [signer.publicJwk] });
  folder = await tempFolder({ "claimgate.yaml": CONFIG, "jwks.json": jwks });
  file = `${folder.path}/claimgate.yaml`;
  const sink = { write: () => {}, flush: async () => {} };
  const [format, colour, now] = ["json", "never", Date.now] as const;
  const openLog = () => createLog({ sink, level: () => "error", format, colour, now });
  gate = await startGate({ file, environment: {}, now, openLog });
  assembly = await loadAssembly(file);
  const noNetwork = () => Promise.reject(new Error("no network"));
  verifiers = openTokenVerifiers(assembly.config, { fetch: noNetwork, warn: told });
  store = await openStore(assembly.config.store, { now });
});

afterAll(async () => {
  verifiers.close();
  await store.close();
  assembly.policies.dispose();
  await gate.drain();
  await folder[Symbol.asyncDispose]();
});

/** Seconds from now; what is near a limit would depend on when it is looked at. */
const times = fc.record({
  iat: fc.constantFrom(-10, -10, -600, 300, undefined),
  exp: fc.constantFrom(600, 600, 600, -300, 7_200, undefined),
  nbf: fc.constantFrom(undefined, undefined, -5, 300),
});

const claims = fc.record(
  {
    iss: fc.constantFrom(ISSUER, ISSUER, ISSUER, "https://evil.example"),
    aud: fc.constantFrom<unknown>("api", "api", ["web", "api"], "web", 7),
    sub: fc.constantFrom<unknown>("alice", "alice", "Żaneta", "a\nb", 5),
    jti: fc.constantFrom<unknown>("one", 1),
    tenant: fc.constantFrom<unknown>("acme", "acme", "other", null),
    realm: fc.record({
      roles: fc.constantFrom<unknown>(["admin"], ["banned"], ["guest"], "admin"),
    }),
    scope: fc.constantFrom("orders", "read", "orders read"),
  },
  { requiredKeys: ["iss", "aud", "tenant"] },
);

const request = fc.record({
  method: fc.constantFrom("GET", "GET", "POST", "DELETE"),
  host: fc.constantFrom("app.acme.dev", "a.partner.dev", "a.b.partner.dev"),
  path: fc.constantFrom(
    "/orders/1",
    "/orders/1",
    "/orders",
    "/reads/x",
    "/open/",
    "/nowhere",
    "/orders//1",
    "/%6frders/1",
    "/open/..%2forders/1",
    "/orders/../open/a",
  ),
  query: fc.constantFrom("", "?a=1", "?a=1&key=x.y.z"),
  client: fc.constantFrom(undefined, "10.1.2.3", "203.0.113.9", "nonsense"),
  spoof: fc.constantFrom(undefined, "mallory"),
});

const credential = fc.constantFrom("signed", "signed", "signed", "forged", "garbled", "none");

const sample = fc.record({ request, claims, times, credential });
type Sample = typeof sample extends fc.Arbitrary<infer T> ? T : never;

const GOOD: Sample = {
  request: {
    method: "GET",
    host: "app.acme.dev",
    path: "/orders/1",
    query: "",
    client: "203.0.113.9",
    spoof: undefined,
  },
  claims: { iss: ISSUER, aud: "api", sub: "alice", tenant: "acme", realm: { roles: ["admin"] } },
  times: { iat: -10, exp: 600, nbf: undefined },
  credential: "signed",
};

/** One of each kind, which chance alone might miss. */
const KINDS: readonly Sample[] = [
  GOOD,
  { ...GOOD, credential: "none" },
  { ...GOOD, credential: "forged" },
  { ...GOOD, times: { ...GOOD.times, iat: -600, exp: -300 } },
  { ...GOOD, claims: { ...GOOD.claims, realm: { roles: ["guest"] } } },
  {
    ...GOOD,
    claims: { ...GOOD.claims, realm: { roles: ["guest"] } },
    request: { ...GOOD.request, client: "10.1.2.3" },
  },
  { ...GOOD, claims: { ...GOOD.claims, realm: { roles: ["guest"] }, scope: "orders" } },
  { ...GOOD, claims: { ...GOOD.claims, realm: { roles: ["banned"] }, scope: "orders" } },
  { ...GOOD, claims: { ...GOOD.claims, sub: "a\nb" } },
  { ...GOOD, request: { ...GOOD.request, host: "a.partner.dev" } },
  { ...GOOD, request: { ...GOOD.request, path: "/nowhere" } },
  { ...GOOD, request: { ...GOOD.request, path: "/reads/x", method: "POST" } },
  { ...GOOD, request: { ...GOOD.request, path: "/orders//1" } },
];

/** As flags of the command. */
async function flagsOf({ request, claims, times, credential }: Sample): Promise<MadeUpFlags> {
  const { method, host, path, query, client, spoof } = request;
  const header = [
    ...(client === undefined ? [] : [`X-Forwarded-For: ${client}`]),
    ...(spoof === undefined ? [] : [`X_User: ${spoof}`]),
  ];
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const absolute = Object.entries(times).flatMap(([name, ago]) =>
    ago === undefined ? [] : [[name, nowSeconds + ago]],
  );
  const payload = { ...claims, ...Object.fromEntries(absolute) };
  const by = credential === "forged" ? stranger : signer;
  const token = credential === "garbled" ? "a.b.c" : await by.sign(payload as JWTPayload);
  return {
    url: `http://${host}${path}${query}`,
    method,
    header,
    ...(credential !== "none" && { token }),
  };
}

const explained = (flags: MadeUpFlags) =>
  explainMadeUp(readMadeUp(flags, Date.now()), assembly, file, told);

/** The same request as a scenario, which expects what came of it. */
async function tested(
  { url, method, header = [] }: MadeUpFlags,
  credential: { readonly token?: string; readonly claims?: unknown },
  expect: object,
) {
  const headers = Object.fromEntries(header.map((one) => one.split(": ")));
  const at = new Date().toISOString();
  const scenario = { name: "it", request: { method, url, headers }, ...credential, at, expect };
  const text = JSON.stringify({ scenarios: [scenario] }).replaceAll("$", "$$$$");
  const names = namesOf(assembly.config, assembly.policies.policies.keys());
  const read = readScenarios("it.scenarios.yaml", text, {}, names, Date.now());
  const [only] = read.ok ? read.value : told(JSON.stringify(read.error));
  if (only === undefined) throw new Error("the scenario is gone");
  const { ok, expected, actual } = await runScenario(only, assembly, verifiers);
  return { ok, expected: factsText(expected), actual: factsText(actual) };
}

/** What a replay by the same rules makes of a record. */
async function replayed(requestId: string) {
  const [record] = await store.find({ requestId, kind: "decision", limit: 1 });
  const entry = record && readEntry(record);
  if (entry?.kind !== "decision") throw new Error("the decision is not recorded");
  const replay = openReplay(assembly, await openGeo(undefined));
  return { ...(await replay.judge(entry)), entry };
}

/** Where the route takes the token, as a client would know. */
async function send({ url = "", method = "GET", header = [], token }: MadeUpFlags) {
  const { host, pathname, search } = new URL(url);
  const headers = new Headers(header.map((one) => one.split(": ") as [string, string]));
  headers.set("Host", host);
  if (token !== undefined) {
    if (pathname.startsWith("/reads/")) headers.set("Cookie", `session=${token}`);
    else headers.set("Authorization", `Bearer ${token}`);
  }
  const [origin = ""] = gate.urls();
  return fetch(`${origin}${pathname}${search}`, { method, headers });
}

const verdicts = ({ policies }: Explanation) =>
  policies.map(({ outcome: { ms: _, ...rest } }) => rest);

const essence = (one: Explanation) => ({
  decision: one.decision,
  code: one.code,
  route: one.route,
  verdicts: verdicts(one),
  failed: one.checks.filter(({ ok }) => !ok),
});

/** What `echo` answers, or the denial. */
type Answer = {
  readonly code: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
};

/** What a scenario expects of a request that the upstream got. */
const forwarded = ({ headers }: Answer) => ({
  decision: "forward",
  upstreamHeaders: {
    "X-User": utf8(headers)["x-user"] ?? null,
    "X-Tenant": utf8(headers)["x-tenant"] ?? null,
    "X-Forwarded-For": headers["x-forwarded-for"] ?? null,
  },
});

const told = (message: string): never => {
  throw new Error(message);
};

/** Clients send these anyway; what the gate makes of them is told all the same. */
const OF_THE_CLIENT = ["accept", "accept-encoding", "connection", "user-agent", "content-length"];
const NOT_COMPARED = [...OF_THE_CLIENT, "x-request-id", "authorization", "cookie"];

const compared = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_COMPARED.includes(name)));

const utf8 = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Buffer.from(value, "latin1").toString()]),
  );

describe("explain, test and replay agree with a live gate", () => {
  const seen = new Set<string>();

  test("on random requests and tokens", async () => {
    await fc.assert(
      fc.asyncProperty(sample, async (one) => {
        const flags = await flagsOf(one);
        const made = await explained(flags);
        const response = await send(flags);
        const body = (await response.json()) as Answer;
        seen.add(made.code ?? made.decision);

        expect(made.decision).toBe(response.status === 200 ? "forward" : "deny");
        if (made.decision === "deny") {
          expect({ status: made.status, code: made.code }).toEqual({
            status: response.status,
            code: body.code,
          });
        } else {
          expect(made.upstream?.target).toBe(`${body.path}${body.query}`);
          expect(compared(made.upstream?.headers ?? {})).toEqual(compared(utf8(body.headers)));
        }

        await gate.gate.ledger.audit.flush();
        const id = response.headers.get("x-request-id") ?? "";
        const recorded = await explainRecorded(id, file);
        expect({ ...essence(recorded), status: recorded.status }).toEqual({
          ...essence(made),
          status: response.status,
        });

        const { token } = flags;
        const credential = token === undefined ? {} : { token };
        const { status } = response;
        const wanted =
          status === 200 ? forwarded(body) : { decision: "deny", status, code: body.code };
        const scenario = await tested(flags, credential, wanted);
        expect(scenario).toEqual({ ...scenario, ok: true });

        const { before, after, lacking, shadow, entry } = await replayed(id);
        const said = ({ name, verdict, code }: PolicyOutcome) => [name, verdict, code];
        expect(shadow.map(said)).toEqual(entry.policies.filter((one) => one.shadow).map(said));
        expect(lacking).toEqual([]);
        expect(after.decision).toBe(made.decision);
        if (after.decision === "deny") expect(after).toEqual(before);
      }),
      { numRuns: 80, examples: KINDS.map((one) => [one]) },
    );
  }, 30_000);

  test("and the samples were of all kinds", () => {
    const kinds = [
      "forward",
      "insufficient_scope",
      "method_not_allowed",
      "policy_denied",
      "request_malformed",
      "route_not_found",
      "token_expired",
      "token_invalid",
      "token_missing",
    ];
    expect([...seen].sort()).toEqual(kinds);
  });

  test("claims stand for the token that has them", async () => {
    await fc.assert(
      fc.asyncProperty(sample, async (one) => {
        const { token, ...flags } = await flagsOf({ ...one, credential: "signed" });
        const payload = Buffer.from(token?.split(".")[1] ?? "", "base64url").toString();
        const signed = await explained({ ...flags, token: token ?? "" });
        const { exp } = JSON.parse(payload);
        if (exp === undefined) return;
        const given = await explained({ ...flags, claims: payload });
        expect(essence(given)).toEqual(essence(signed));
        expect(compared(given.upstream?.headers ?? {})).toEqual(
          compared(signed.upstream?.headers ?? {}),
        );
        const { decision, status, code } = signed;
        const wanted = decision === "forward" ? { decision } : { decision, status, code };
        const scenario = await tested(flags, { claims: JSON.parse(payload) }, wanted);
        expect(scenario).toEqual({ ...scenario, ok: true });
      }),
      { numRuns: 80 },
    );
  }, 30_000);
});

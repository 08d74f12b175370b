import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ENDPOINTS, openAdmin } from "../../src/admin/api.ts";
import { Problem } from "../../src/admin/problem.ts";
import { GateError } from "../../src/errors.ts";
import { type AdminGate, openAdminGate, posting } from "./admin-gate.ts";

let gate: AdminGate;
beforeAll(async () => {
  gate = await openAdminGate();
  await gate.visit("/staff/a", "alice");
  await gate.visit("/staff/b", "mallory");
  await gate.visit("/staff/c");
  await gate.visit("/open/d");
});
afterAll(async () => gate[Symbol.asyncDispose]());

const schemaOf = (method: string, path: string): TSchema => {
  const found = ENDPOINTS.find((one) => one.method === method && one.path === path);
  if (found === undefined || typeof found.answers === "string") throw new Error(`no ${path}`);
  return found.answers;
};

/** What is wrong with an answer: nothing is missing, nothing is of another type or unheard of. */
function offences(schema: TSchema, body: unknown): readonly string[] {
  const errors = [...Value.Errors(schema, body)].map(({ path, message }) => `${path}: ${message}`);
  const cleaned = Value.Clean(schema, structuredClone(body));
  return Bun.deepEquals(cleaned, body) ? errors : [...errors, "it has members without a schema"];
}

describe("what is read", () => {
  // Written out: an address lost from the table must fail here.
  test.each([
    "/v1/decisions",
    "/v1/decisions?kind=any",
    "/v1/tokens",
    "/v1/tokens/lint",
    "/v1/sessions",
    "/v1/revocations",
    "/v1/policies",
    "/v1/routes",
    "/v1/issuers",
    "/v1/config",
  ])("%s is as its schema says", async (path) => {
    const { status, body } = await gate.json(path);
    expect(status).toBe(200);
    expect(offences(schemaOf("GET", path.split("?")[0] ?? ""), body)).toEqual([]);
  });

  test("decisions come newest first, with what the audit has", async () => {
    const { body } = await gate.json("/v1/decisions");
    expect(body.more).toBe(false);
    expect(body.decisions.map((one: { path: string }) => one.path)).toEqual([
      "/open/d",
      "/staff/c",
      "/staff/b",
      "/staff/a",
    ]);
    expect(body.decisions[2]).toMatchObject({
      kind: "decision",
      decision: "deny",
      status: 403,
      code: "policy_denied",
      reason: "not_staff",
      policy: "staff",
      token: { issuer: "dev", subject: "mallory" },
    });
  });

  test.each([
    ["denied", ["/staff/c", "/staff/b"]],
    ["denied=true", ["/staff/c", "/staff/b"]],
    ["denied=false&route=open", ["/open/d"]],
    ["subject=alice", ["/staff/a"]],
    ["route=open", ["/open/d"]],
    ["code=token_missing", ["/staff/c"]],
    ["code=not_staff", ["/staff/b"]],
    ["shadow", []],
    ["since=1h&limit=1", ["/open/d"]],
    ["until=1h", []],
    ["since=2100-01-01", []],
    ["until=2100-01-01&limit=1", ["/open/d"]],
  ])("decisions?%s", async (query, paths) => {
    const { body } = await gate.json(`/v1/decisions?${query}`);
    expect(body.decisions.map((one: { path: string }) => one.path)).toEqual(paths);
    expect(body.more).toBe(query.includes("limit=1"));
  });

  test("tokens", async () => {
    const { body } = await gate.json("/v1/tokens?active");
    expect(body.tokens.map((one: { subject: string }) => one.subject).sort()).toEqual([
      "alice",
      "mallory",
    ]);
    const { body: one } = await gate.json("/v1/tokens?subject=mallory&issuer=dev");
    expect(one.tokens).toMatchObject([{ requests: 1, denials: 1, routes: [{ name: "staff" }] }]);
    const { body: few } = await gate.json("/v1/tokens?limit=1");
    expect([few.tokens.length, few.more]).toEqual([1, true]);
    const { body: none } = await gate.json("/v1/tokens?unusual&lint");
    expect(none.tokens).toEqual([]);
  });

  test("policies say where they are used, routes what guards them", async () => {
    const { body } = await gate.json("/v1/policies");
    const staff = body.policies.find((one: { name: string }) => one.name === "staff");
    expect(staff).toMatchObject({ loaded: true, shipped: false, cases: 1, usedBy: ["staff"] });
    expect((await gate.json("/v1/routes")).body.routes).toMatchObject([
      { name: "staff", policies: ["staff"], issuers: ["dev"], upstreams: ["echo"] },
      { name: "open", public: true, policies: [] },
    ]);
    expect((await gate.json("/v1/issuers")).body.issuers).toMatchObject([
      { name: "dev", state: "fresh", keys: 1, usedBy: ["staff"] },
    ]);
  });

  test("metrics", async () => {
    const response = await gate.ask("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    expect(text).toContain(
      'claimgate_decisions_total{route="staff",decision="deny",code="policy_denied",status=""} 1\n',
    );
    expect(text).toContain('claimgate_policy_verdicts_total{policy="staff",verdict="deny"');
    expect(text).toContain('claimgate_build_info{version="1.2.3"} 1\n');
    expect(text).toMatch(/^claimgate_store_fresh 1$/m);
    expect(text).toMatch(/^claimgate_tokens_tracked 2$/m);
  });

  test("the description names every address, and its references lead somewhere", async () => {
    const { body } = await gate.json("/openapi.json");
    expect(body.openapi).toBe("3.1.0");
    expect(Object.keys(body.paths).sort()).toEqual(
      `/metrics /v1/config /v1/decisions /v1/decisions/stream /v1/issuers /v1/policies /v1/reload
       /v1/revocations /v1/routes /v1/sessions /v1/tokens /v1/tokens/lint`.split(/\s+/),
    );
    expect(Object.keys(body.paths["/v1/revocations"])).toEqual(["get", "post", "delete"]);
    const references = JSON.stringify(body).match(/#\/components\/schemas\/[^"]+/g) ?? [];
    const missing = references.filter(
      (one) => body.components.schemas[one.split("/").at(-1) ?? ""] === undefined,
    );
    expect(references.length).toBeGreaterThan(5);
    expect(missing).toEqual([]);
  });

  test("the page for people loads nothing", async () => {
    for (const path of ["/docs", "/"]) {
      const response = await gate.ask(path);
      expect(response.headers.get("content-security-policy")).toStartWith("default-src 'none'; ");
      const text = await response.text();
      expect(text).toContain("/v1/decisions/stream");
      expect(text).not.toMatch(/<(?:script|link|img|iframe)|url\(|@import|https?:/);
    }
  });
});

describe("what is done", () => {
  test("revoking is in force at once, listed, recorded as the admin's act, and taken back", async () => {
    expect(await gate.visit("/staff/a", "bob")).toBe(200);
    const made = await gate.json(
      "/v1/revocations",
      posting({ subject: "bob", reason: "laptop stolen" }),
    );
    expect(made.status).toBe(200);
    expect(offences(schemaOf("POST", "/v1/revocations"), made.body)).toEqual([]);
    expect(made.body).toMatchObject({
      target: "subject bob of dev",
      revocation: { kind: "subject", issuer: "dev", value: "bob", author: "admin" },
    });
    expect(await gate.visit("/staff/a", "bob")).toBe(401);
    const list = await gate.json("/v1/revocations");
    expect(list.body).toMatchObject({
      total: 1,
      revocations: [{ value: "bob", reason: "laptop stolen" }],
    });
    expect(offences(schemaOf("GET", "/v1/revocations"), list.body)).toEqual([]);
    const tokens = await gate.json("/v1/tokens?subject=bob");
    expect(tokens.body.tokens[0]).toMatchObject({ active: false, revoked: { kind: "subject" } });

    const taken = await gate.json("/v1/revocations?subject=bob", { method: "DELETE" });
    expect([taken.status, taken.body]).toEqual([200, { target: "subject bob of dev" }]);
    expect(await gate.visit("/staff/a", "bob")).toBe(200);
    const { body } = await gate.json("/v1/decisions?kind=act");
    expect(body.decisions).toMatchObject([
      { kind: "act", actor: "admin", act: "unrevoke", target: "subject bob of dev" },
      { actor: "admin", act: "revoke", target: "subject bob of dev", reason: "laptop stolen" },
    ]);
  });

  test("a token itself is revoked, never kept, and taken back by a body", async () => {
    const token = await gate.token("carol");
    const made = await gate.json("/v1/revocations", posting({ token, by: "cli" }));
    expect(made.body.target).toMatch(/^token [\w-]{22}$/);
    expect(made.body.revocation.author).toBe("cli");
    expect(made.body.note).toContain("has been seen here");
    const body = JSON.stringify({ token });
    const headers = { "Content-Type": "application/json" };
    const taken = await gate.json("/v1/revocations", { method: "DELETE", headers, body });
    expect(taken.body).toEqual({ target: made.body.target });
    const all = await (await gate.ask("/v1/decisions?kind=any")).text();
    expect(all).toContain(made.body.target);
    expect(all + gate.log.join()).not.toContain(token);
  });

  test.each([
    [{}, "name what is meant: jti, subject, session or token, or an issuer with issuer"],
    [{ jti: "a", subject: "b" }, "jti and subject exclude each other: name one thing at a time"],
    [{ session: "cookie" }, "session takes the id that claimgate tokens shows"],
    [{ token: "secret" }, "token takes a whole token"],
    [{ subject: "a", issuer: "des" }, "did you mean dev?"],
    [{ subject: "a".repeat(1_025) }, "the member subject does not do"],
    [{ subject: "a", reason: "r".repeat(501) }, "the member reason does not do"],
    [{ subject: 7 }, "the member subject does not do"],
    [{ subjct: "a" }, "a member is not known: did you mean subject?"],
  ])("revoking %j is refused", async (what, detail) => {
    const { status, body } = await gate.json("/v1/revocations", posting(what));
    expect([status, body.code]).toEqual([400, "request_malformed"]);
    expect(body.detail).toContain(detail);
    expect(offences(Problem, body)).toEqual([]);
  });

  test("what is not revoked cannot be taken back", async () => {
    const { status, body } = await gate.json("/v1/revocations?jti=x", { method: "DELETE" });
    expect([status, body.code]).toEqual([404, "not_revoked"]);
  });

  test("a reload that does not hold is told, and recorded", async () => {
    const reload = () => gate.json("/v1/reload", { method: "POST" });
    const good = await reload();
    expect(offences(schemaOf("POST", "/v1/reload"), good.body)).toEqual([]);
    const text = await Bun.file(join(gate.folder.path, "claimgate.yaml")).text();
    await gate.folder.write("claimgate.yaml", "routes: 7\n");
    const bad = await reload();
    expect([bad.status, bad.body.code]).toEqual([409, "reload_refused"]);
    await gate.folder.write("claimgate.yaml", text);
    expect((await gate.json("/v1/policies")).body.lastReload).toMatchObject({ inForce: false });
    expect((await gate.json("/v1/decisions?kind=act&limit=2")).body.decisions).toMatchObject([
      { act: "reload", actor: "admin", reason: "refused" },
      { act: "reload", actor: "admin", reason: "in force" },
    ]);
  });
});

describe("what is refused", () => {
  test.each([
    ["/v1/tokens?limt=3", "did you mean lint?"],
    ["/v1/tokens?limit=0", "the parameter limit does not do"],
    ["/v1/tokens?limit=10001", "the parameter limit does not do"],
    ["/v1/tokens?limit=1e3", "the parameter limit does not do"],
    ["/v1/tokens?active=maybe", "the parameter active does not do"],
    ["/v1/tokens?issuer=nobody", "no issuer is called"],
    ["/v1/decisions?subject=a&subject=b", "the parameter subject is given twice"],
    ["/v1/decisions?kind=all", "kind must be one of: decision, act, any"],
    ["/v1/decisions?since=yesterday", "since takes a duration"],
    ["/v1/decisions?subject=", "the parameter subject does not do"],
    ["/v1/decisions?__proto__=x", "a parameter is not known"],
    ["/v1/routes?limit=3", "there are none here"],
  ])("%s", async (path, detail) => {
    const { status, body } = await gate.json(path);
    expect([status, body.code]).toEqual([400, "request_malformed"]);
    expect(body.detail).toContain(detail);
  });

  test("other addresses and methods", async () => {
    expect(await gate.json("/v1/nothing")).toMatchObject({
      status: 404,
      body: { code: "route_not_found" },
    });
    const response = await gate.ask("/v1/decisions", { method: "PUT" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"]);
    expect(await response.json()).toMatchObject({ code: "method_not_allowed" });
  });

  test.each([
    "' OR 1=1 --",
    '"; DROP TABLE records; --',
    "%",
    "_",
    "*",
    "alice\u0000",
    "../../etc/passwd",
    "\u2028\r\nevent: act",
  ])("a filter is a value and nothing else: %j", async (value) => {
    const query = new URLSearchParams({ subject: value, route: value, code: value });
    const { status, body } = await gate.json(`/v1/decisions?${query}`);
    expect([status, body.decisions]).toEqual([200, []]);
    const { body: tokens } = await gate.json(
      `/v1/tokens?${new URLSearchParams({ subject: value })}`,
    );
    expect(tokens.tokens).toEqual([]);
  });
});

describe("faults", () => {
  /** The same gate with another store; asks for decisions. */
  async function askBroken(fault: Error) {
    const path = join(gate.folder.path, "broken.sock");
    const { gate: running, reload } = gate.running;
    const failing = () => Promise.reject(fault);
    const api = await openAdmin(running, {
      config: () => ({ ...running.site.config, admin: { listen: { kind: "unix", path } } }),
      store: { find: failing, anchors: failing, chain: failing },
      reload,
      version: "1",
    });
    const ask = (at: string) => fetch(`http://localhost${at}`, { unix: path });
    const answers = [await ask("/v1/decisions"), await ask("/v1/decisions/stream?source=store")];
    await api.close();
    return Promise.all(
      answers.map(async (one) => ({ status: one.status, text: await one.text() })),
    );
  }

  test("of the store are told by their code", async () => {
    for (const { status, text } of await askBroken(
      new GateError("store_unavailable", "it is away"),
    )) {
      expect(status).toBe(503);
      expect(JSON.parse(text)).toMatchObject({ code: "store_unavailable", detail: "it is away" });
      expect(offences(Problem, JSON.parse(text))).toEqual([]);
    }
  });

  test("of the store when it is to keep a revocation: it is in force here, told, and recorded", async () => {
    const path = join(gate.folder.path, "unstored.sock");
    const { gate: running, reload } = gate.running;
    const { revocations } = running.ledger;
    const away = new GateError("store_unavailable", "it is away");
    const unstored = {
      ...revocations,
      revoke: (one) => revocations.revoke(one).then(() => Promise.reject(away)),
    } satisfies typeof revocations;
    const api = await openAdmin(
      { ...running, ledger: { ...running.ledger, revocations: unstored } },
      {
        config: () => ({ ...running.site.config, admin: { listen: { kind: "unix", path } } }),
        store: running.ledger.store,
        reload,
        version: "1",
      },
    );
    const answer = await fetch("http://localhost/v1/revocations", {
      unix: path,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ subject: "erin", reason: "gone" }),
    });
    const body = await answer.json();
    await api.close();
    expect(answer.status).toBe(503);
    expect(body).toMatchObject({
      code: "store_unavailable",
      detail:
        "it is away; it is revoked in this gate alone so far, and stored once the store is back",
    });
    expect(await gate.visit("/staff/", "erin")).toBe(401);
    const acts = (await gate.json("/v1/decisions?kind=act")).body.decisions;
    expect(acts[0]).toMatchObject({ act: "revoke", target: "subject erin of dev", reason: "gone" });
  });

  test("of ours are in the log, and not in the answer", async () => {
    for (const { status, text } of await askBroken(new Error("secret inner detail"))) {
      expect(status).toBe(500);
      expect(text).not.toContain("inner");
      const { code, requestId } = JSON.parse(text);
      expect(code).toBe("internal_fault");
      const line = gate.log.find((one) => one.includes(requestId)) ?? "";
      expect(JSON.parse(line)).toMatchObject({
        event: "internal_fault",
        stack: expect.stringContaining("secret inner detail"),
      });
    }
  });
});

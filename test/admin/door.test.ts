/** Who may use the admin API, and what they cannot do with it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { rawRequest } from "../support/raw-request.ts";
import { type AdminGate, openAdminGate, posting } from "./admin-gate.ts";

const TOKEN = "correct-horse-battery-staple-7231";
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

/** Written out: every address must ask for the token. */
const PATHS = `/ /docs /openapi.json /metrics /v1/decisions /v1/decisions/stream /v1/tokens
  /v1/tokens/lint /v1/sessions /v1/revocations /v1/policies /v1/routes /v1/issuers /v1/config
  /v1/reload /nothing`.split(/\s+/);

describe("over TCP", () => {
  let gate: AdminGate;
  beforeAll(async () => {
    gate = await openAdminGate({
      listen: { kind: "tcp", hostname: "127.0.0.1", port: 0 },
      token: TOKEN,
    });
  });
  afterAll(async () => gate[Symbol.asyncDispose]());
  /** Each test its own minute. */
  const later = () => {
    gate.clock.aheadMs += 61_000;
  };

  test.each(PATHS)("%s is nobody's without the token", async (path) => {
    const { status, body } = await gate.json(path);
    expect([status, body.code]).toEqual([401, "token_missing"]);
    const response = await gate.ask(path);
    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="claimgate admin"');
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("the token opens", async () => {
    expect((await gate.ask("/v1/routes", bearer(TOKEN))).status).toBe(200);
    const lower = { headers: { authorization: `bearer ${TOKEN}` } };
    expect((await gate.ask("/v1/routes", lower)).status).toBe(200);
  });

  test.each([
    "wrong",
    `${TOKEN}x`,
    TOKEN.slice(0, -1),
    TOKEN.toUpperCase(),
    `${TOKEN}, Bearer x`,
    "x".repeat(4_096),
    "[set]",
    "undefined",
  ])("a wrong token does not: %p", async (token) => {
    later();
    const response = await gate.ask("/v1/routes", bearer(token));
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain(token);
  });

  test.each(["Basic Y29ycmVjdA==", TOKEN, "Bearer", "Bearer "])(
    "nor what is no bearer token: %p",
    async (header) => {
      const headers = { Authorization: header };
      const { status, body } = await gate.json("/v1/routes", { headers });
      expect([status, body.code]).toEqual([401, "token_missing"]);
    },
  );

  test("after ten wrong ones in a minute even the right one waits", async () => {
    later();
    for (let guess = 0; guess < 10; guess += 1) {
      expect((await gate.ask("/v1/routes", bearer(`guess-${guess}`))).status).toBe(401);
    }
    for (const token of ["guess-11", TOKEN]) {
      const response = await gate.ask("/v1/routes", bearer(token));
      expect(response.status).toBe(429);
      expect(Number(response.headers.get("retry-after"))).toBeWithin(1, 61);
      expect(await response.json()).toMatchObject({ code: "rate_limited" });
    }
    gate.clock.aheadMs += 59_000;
    expect((await gate.ask("/v1/routes", bearer(TOKEN))).status).toBe(429);
    gate.clock.aheadMs += 2_000;
    expect((await gate.ask("/v1/routes", bearer(TOKEN))).status).toBe(200);
  });

  test("none of it is in the log, but that it was tried", async () => {
    later();
    await gate.ask("/v1/routes", bearer("guessed-secret"));
    await gate.ask(`/v1/routes?token=${TOKEN}`, bearer(TOKEN));
    const log = gate.log.join("\n");
    expect(log).toContain("a wrong admin token from 127.0.0.1");
    expect(log).not.toContain("guessed-secret");
    expect(log).not.toContain(TOKEN);
  });

  const portOf = () => Number(new URL(gate.api.url).port);
  const askAs = async (host: string, path = "/v1/routes") => {
    const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`;
    return (await rawRequest(portOf(), head)).status;
  };

  test.each([
    ["127.0.0.1", 200],
    ["127.0.0.1:9000", 200],
    ["localhost", 200],
    ["LOCALHOST.:80", 200],
    ["[::1]", 200],
    ["attacker.example", 421],
    ["127.0.0.1.attacker.example", 421],
    ["localhost.attacker.example", 421],
    ["10.0.0.7", 421],
    ["0x7f.0.0.1", 421],
  ])("a page whose name was made to point here is not answered: Host %s", async (host, status) => {
    expect(await askAs(host)).toBe(status);
  });

  test.each([
    [{ Origin: "https://attacker.example" }],
    [{ Origin: "null" }],
    [{ "Sec-Fetch-Site": "cross-site" }],
    [{ "Sec-Fetch-Site": "same-site" }],
  ])("nor is a page of another site: %j", async (headers) => {
    const all = { ...headers, Authorization: `Bearer ${TOKEN}` };
    const { status, body } = await gate.json("/v1/routes", { headers: all });
    expect([status, body.code]).toEqual([403, "cross_site"]);
    const preflight = await gate.ask("/v1/reload", { method: "OPTIONS", headers: all });
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])(
    "a body must be JSON: %p is refused",
    async (type) => {
      const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": type };
      const init = { method: "POST", headers, body: '{"subject":"alice"}' };
      const { status, body } = await gate.json("/v1/revocations", init);
      expect([status, body.code]).toEqual([415, "content_type_unsupported"]);
    },
  );

  test("huge bodies are not read", async () => {
    const auth = { Authorization: `Bearer ${TOKEN}` };
    const huge = posting({ subject: "a".repeat(70_000) }, auth);
    expect(await gate.json("/v1/revocations", huge)).toMatchObject({
      status: 413,
      body: { code: "too_large" },
    });
    // One that does not say how long it is.
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(64 * 1024));
        if (sent === 500) controller.close();
      },
    });
    const headers = { ...auth, "Content-Type": "application/json" };
    const answer = await gate
      .ask("/v1/revocations", { method: "POST", headers, body })
      .then(({ status }) => status)
      .catch(() => "cut");
    expect([413, "cut"]).toContain(answer);
    const query = `/v1/decisions?subject=${"a".repeat(17_000)}`;
    expect([413, 414, 431]).toContain((await gate.ask(query, { headers: auth })).status);
    expect((await gate.ask("/v1/routes", { headers: auth })).status).toBe(200);
  });

  test("bodies that are no object are refused", async () => {
    const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
    for (const body of ["", "[", "[]", "null", "7", '"x"', "{".repeat(10_000)]) {
      const answer = await gate.json("/v1/revocations", { method: "POST", headers, body });
      expect([answer.status, answer.body.code]).toEqual([400, "request_malformed"]);
    }
  });
});

describe("on a unix socket", () => {
  test("whoever may open it needs no token, and its owner alone may", async () => {
    await using gate = await openAdminGate();
    const path = join(gate.folder.path, "test.sock");
    expect(gate.api.url).toBe(`unix:${path}`);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect((await gate.ask("/v1/routes")).status).toBe(200);
    await gate.api.close();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("a token that is set counts there, too", async () => {
    await using gate = await openAdminGate({ token: TOKEN });
    expect((await gate.ask("/v1/routes")).status).toBe(401);
    expect((await gate.ask("/v1/routes", bearer(TOKEN))).status).toBe(200);
  });
});

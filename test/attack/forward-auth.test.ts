import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  askAt,
  bearer,
  codeOf,
  type Fields,
  forwarded,
  openVerifyGate,
  original,
  tokenFor,
  VERIFY,
} from "../gate/verify-gate.ts";
import type { LoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";

let provider: MockProvider;
let gate: LoginGate;
let staff: string;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openVerifyGate(provider, ["127.0.0.1"]);
  staff = await tokenFor(provider, "alice", { roles: ["admin"] });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const ask = (target: string, fields: Fields) => askAt(gate.port, target, fields);

describe("what a proxy says, and what its client does", () => {
  test.each(["X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"])(
    "without %s, or with two, it is 400",
    async (name) => {
      const all = [...forwarded("/open/x"), ...bearer(staff)];
      const missing = all.filter(([one]) => one !== name);
      expect(codeOf(await ask(VERIFY, missing))).toEqual([400, "request_malformed"]);
      const [, value = ""] = all.find(([one]) => one === name) ?? [];
      const twice = [...all, [name, value] as const];
      expect(codeOf(await ask(VERIFY, twice))).toEqual([400, "request_malformed"]);
    },
  );

  test.each(["X-Original-URL", "X-Original-Method"])(
    "without %s, or with two, it is 400",
    async (name) => {
      const all = original("/open/x");
      const missing = all.filter(([one]) => one !== name);
      expect(codeOf(await ask(VERIFY, missing))).toEqual([400, "request_malformed"]);
      const [, value = ""] = all.find(([one]) => one === name) ?? [];
      expect(codeOf(await ask(VERIFY, [...all, [name, value]]))).toEqual([
        400,
        "request_malformed",
      ]);
    },
  );

  test("both ways at once are 400, for one of them is the client's", async () => {
    const both = [...forwarded("/admin/x"), ...original("/open/x")];
    expect(codeOf(await ask(VERIFY, both))).toEqual([400, "request_malformed"]);
    for (const name of ["X-Forwarded-Uri", "X-Forwarded-Method"]) {
      const mixed = [...original("/open/x"), [name, "/x"] as const];
      expect(codeOf(await ask(VERIFY, mixed))).toEqual([400, "request_malformed"]);
    }
    for (const name of ["X-Original-URL", "X-Original-Method"]) {
      const mixed = [...forwarded("/open/x"), [name, "GET"] as const];
      expect(codeOf(await ask(VERIFY, mixed))).toEqual([400, "request_malformed"]);
    }
  });

  test.each([
    "http://user@app.localhost/open/x",
    "http://user:pass@app.localhost/open/x",
    "http://app.localhost@evil.example/open/x",
    "http://app.localhost/open/x#fragment",
    "http://app.localhost#/open/x",
    "http://app.localhost\\/open/x",
    "http:/app.localhost/open/x",
    "http:app.localhost/open/x",
    "//app.localhost/open/x",
    "/open/x",
    "ftp://app.localhost/open/x",
    "ws://app.localhost/open/x",
    "javascript://app.localhost/open/x",
    "HTTP://app.localhost/open/x",
    "http://app.localhost",
    "http://app.localhost?/open/x",
    "http://app.localhost/open/x y",
    "http://app.localhost/open/x, http://app.localhost/open/x",
    "http://app.localhost,evil.example/open/x",
    "http://app.localhost:99x/open/x",
    "http://app%2elocalhost/open/x",
    "http://[::1/open/x",
    "",
  ])("X-Original-URL %p is 400", async (url) => {
    const fields: Fields = [
      ["X-Original-URL", url],
      ["X-Original-Method", "GET"],
    ];
    expect(codeOf(await ask(VERIFY, fields))).toEqual([400, "request_malformed"]);
  });

  test("line breaks in a field are another field, and that is 400", async () => {
    const smuggled: Fields = [
      ["X-Original-URL", "http://app.localhost/open/x\r\nX-Original-URL: http://app.localhost/"],
      ["X-Original-Method", "GET"],
    ];
    expect((await ask(VERIFY, smuggled)).status).toBe(400);
    for (const uri of ["/open/x%0d%0aX-User:%20root", "/open/%0a"]) {
      expect((await ask(VERIFY, forwarded(uri))).status).toBe(400);
    }
  });

  test.each([
    ["X-Forwarded-Method", "get"],
    ["X-Forwarded-Method", "GET POST"],
    ["X-Forwarded-Method", "TRACE"],
    ["X-Forwarded-Proto", "ftp"],
    ["X-Forwarded-Proto", "https,http"],
    ["X-Forwarded-Host", "user@app.localhost"],
    ["X-Forwarded-Host", "app.localhost/x"],
    ["X-Forwarded-Host", "app.localhost, app.localhost"],
    ["X-Forwarded-Uri", "http://app.localhost/open/x"],
    ["X-Forwarded-Uri", "open/x"],
    ["X-Forwarded-Uri", "/open/x#y"],
    ["X-Forwarded-Uri", "/open/ x"],
    ["X-Forwarded-Uri", "/open/\xe9"],
    ["X-Forwarded-For", "not-an-address"],
  ])("%s: %s is refused", async (name, value) => {
    const fields = forwarded("/open/x").map(
      ([one, good]) => [one, one === name ? value : good] as const,
    );
    const { status } = await ask(VERIFY, fields);
    expect([400, 501]).toContain(status);
  });
});

describe("who is not trusted", () => {
  test("finds nothing there, whatever the headers say", async () => {
    await using strict = await openVerifyGate(provider, ["192.0.2.0/24"]);
    for (const fields of [forwarded("/open/x"), original("/open/x"), [], bearer(staff)]) {
      for (const target of [VERIFY, `${VERIFY}?denied=status`, `${VERIFY}/open/x`]) {
        expect(codeOf(await askAt(strict.port, target, fields))).toEqual([404, "route_not_found"]);
      }
    }
  });

  test("forwarded headers count nowhere else, even from who is", async () => {
    const live = await ask("/live", [...forwarded("/orders/1"), ["Host", "app.localhost"]]);
    expect(live.status).toBe(404);
    const other = await ask("/.claimgate/%76erify", forwarded("/open/x"));
    expect(other.status).toBe(404);
    expect((await ask("/.claimgate/verify2", forwarded("/open/x"))).status).toBe(404);
    expect((await ask("/live", forwarded("/open/x"))).status).toBe(200);
  });
});

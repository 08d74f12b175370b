import { afterAll, beforeAll, expect, test } from "bun:test";
import { openBrowser } from "../login/browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";

let provider: MockProvider;
let gate: LoginGate;
let hostile: Bun.Server<undefined>;
let lines: readonly string[] = [];

beforeAll(async () => {
  provider = await startMockProvider();
  hostile = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("", { headers: lines.map((line) => ["Set-Cookie", line]) }),
  });
  const { origin } = hostile.url;
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      issuers: [issuerEntry(provider.issuer)],
      routes: [
        { name: "hostile", match: { path: "/hostile/*" }, upstream: origin, public: true },
        {
          name: "tool",
          upstream,
          login: true,
          anyAuthenticated: true,
          identityHeaders: { "X-User": "sub" },
        },
      ],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await hostile?.stop(true);
});

test("an application plants no session, and sets its own cookies", async () => {
  const [mallory, alice] = [openBrowser(), openBrowser()];
  provider.claims = { sub: "mallory" };
  await mallory.follow(`${gate.url}/`);
  provider.claims = { sub: "alice" };
  await alice.follow(`${gate.url}/`);
  const id = mallory.cookies.get("localhost")?.get("claimgate");
  const own = ["a=1; Path=/", "claimgates=2; HttpOnly", "b=claimgate=3"];
  lines = [
    `claimgate=${id}; Path=/`,
    ` claimgate =${id}`,
    `=claimgate=${id}`,
    `__Host-claimgate=${id}; Path=/; Secure`,
    `claimgate-login-00000000AAAAAAAA=x`,
    `__Host-claimgate-login-00000000AAAAAAAA=x; Secure; Path=/`,
    ...own,
  ];
  const answer = await alice.go(`${gate.url}/hostile/x`);
  expect(answer.headers.getSetCookie()).toEqual(own);
  await alice.go(`${gate.url}/x`);
  expect(gate.upstream.seen.at(-1)?.headers.get("x-user")).toBe("alice");
});

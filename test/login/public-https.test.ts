import { afterAll, beforeAll, expect, test } from "bun:test";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

const NAVIGATION = { Accept: "text/html", "X-Forwarded-Proto": "https" };

let provider: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      publicUrl: "https://gate.acme.dev",
      trustedProxies: ["127.0.0.1"],
      issuers: [issuerEntry(provider.issuer)],
      routes: [
        { name: "tool", upstream, login: true, anyAuthenticated: true },
        {
          name: "app",
          match: { host: "app.acme.dev" },
          upstream,
          login: true,
          anyAuthenticated: true,
        },
      ],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

/** As a proxy that ends TLS would send it on. */
const go = (host: string, path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`http://127.0.0.1:${gate.port}${path}`, {
    method,
    headers: { ...NAVIGATION, Host: host, ...headers },
    redirect: "manual",
  });

const cookieOf = (answer: Response, beginning: string) =>
  answer.headers.getSetCookie().find((line) => line.startsWith(beginning)) ?? "";

async function signedIn(): Promise<string> {
  const begun = await go("gate.acme.dev", "/.claimgate/login?return=/x");
  const attempt = cookieOf(begun, "__Host-claimgate-login-");
  expect(attempt).toContain("; Secure");
  const authorize = await fetch(begun.headers.get("location") ?? "", { redirect: "manual" });
  const back = new URL(authorize.headers.get("location") ?? "");
  expect(back.origin).toBe("https://gate.acme.dev");
  const [Cookie = ""] = attempt.split(";");
  const done = await go("gate.acme.dev", back.pathname + back.search, { Cookie });
  expect([done.status, done.headers.get("location")]).toEqual([302, "https://gate.acme.dev/x"]);
  return cookieOf(done, "__Host-claimgate=");
}

test("on https cookies are for this host alone and for TLS alone", async () => {
  const line = await signedIn();
  expect(line).toMatch(/^__Host-claimgate=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
  const [Cookie = ""] = line.split(";");
  expect((await go("gate.acme.dev", "/x", { Cookie })).status).toBe(200);
  const weaker = Cookie.replace("__Host-", "");
  expect((await go("gate.acme.dev", "/x", { Cookie: weaker })).status).toBe(302);
});

test("the same origin is what the browser sees, not what the proxy sends", async () => {
  const [Cookie = ""] = (await signedIn()).split(";");
  const post = (Origin: string, more: Record<string, string> = {}) =>
    go("gate.acme.dev", "/x", { Cookie, Origin, ...more }, "POST");
  expect((await post("https://gate.acme.dev")).status).toBe(200);
  expect((await post("https://app.acme.dev")).status).toBe(403);
  // A proxy that forgets to say so: the public address does.
  const forgotten = { "X-Forwarded-Proto": "http" };
  expect((await post("https://gate.acme.dev", forgotten)).status).toBe(200);
  // A page that came by plain http, by whatever way the request came here.
  expect((await post("http://gate.acme.dev")).status).toBe(403);
  expect((await post("http://gate.acme.dev", forgotten)).status).toBe(403);
});

test("another host goes by way of the public origin, by https", async () => {
  const begun = await go("app.acme.dev", "/.claimgate/login?return=/x");
  expect(begun.headers.get("location")).toMatch(
    /^https:\/\/gate\.acme\.dev\/\.claimgate\/login\?handover=/,
  );
});

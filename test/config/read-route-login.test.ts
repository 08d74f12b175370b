// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { loadValid, placesOf } from "./load-text.ts";

const ISSUERS = `publicUrl: https://gate.acme.dev
issuers:
  - { name: okta, issuer: "https://okta.dev", login: { clientId: gate } }
  - { name: entra, issuer: "https://entra.dev", audiences: [a], login: { clientId: gate } }
  - { name: bare, issuer: "https://bare.dev", audiences: [a] }
`;
/** Keys of the one route, from line 7 column 5. */
const route = (keys: string) =>
  `${ISSUERS}routes:\n  - ${keys.replaceAll("\n", "\n    ")}\n    upstream: echo\n`;

const AUTHENTICATED = "anyAuthenticated: true\n";

describe("login of a route", () => {
  test.each([
    ["issuers: [okta]\nlogin: true", { issuer: "okta" }],
    ["issuers: [bare, entra]\nlogin: true", { issuer: "entra" }],
    ["issuers: [okta, entra]\nlogin: true", {}],
    ["issuers: [okta, entra]\nlogin: entra", { issuer: "entra" }],
    ["issuers: [okta, entra]\nlogin: ${ON}", {}],
    ["issuers: [bare]\nlogin: ${OFF}", undefined],
    ["issuers: [bare]\nlogin: false", undefined],
    ["issuers: [bare]", undefined],
  ])("%s", async (keys, login) => {
    const environment = { ON: "true", OFF: "false" };
    const { routes } = await loadValid(route(AUTHENTICATED + keys), { environment });
    expect(routes[0]?.login).toEqual(login as never);
    const places = routes[0]?.credentials.map(({ kind }) => kind);
    expect(places).toEqual(login === undefined ? ["authorization"] : ["authorization", "session"]);
  });

  test.each([
    ["issuers: [bare]\nlogin: true", "9:12 login_missing"],
    ["issuers: [bare]\nlogin: bare", "9:12 login_missing"],
    ["issuers: [bare]\nlogin: okta", "9:12 issuer_not_trusted"],
    ["issuers: [okta]\nlogin: otka", "9:12 issuer_unknown"],
    ["issuers: [okta]\nlogin: 'true'", "9:12 issuer_unknown"],
    ["issuers: [okta]\nlogin: 1", "9:12 type_wrong"],
    ["issuers: [okta]", "8:14 route_unreachable"],
    ["issuers: [okta]\nlogin: false", "8:14 route_unreachable"],
    ["issuers: [okta]\nlogin: true\ncredentials: [header]", "10:18 session_missing"],
    ["issuers: [bare]\ncredentials: [header, session]", "9:27 session_without_login"],
    ["issuers: [bare]\ncredentials: [7, session]", "9:19 type_wrong 9:22 session_without_login"],
    ["issuers: [okta]\nlogin: true\ncredentials: [session, session]", "10:28 credential_duplicate"],
    ["issuers: [okta]\nlogin: true\ncrossSite: never", "10:16 type_wrong"],
  ])("%j: %s", async (keys, places) => {
    expect((await placesOf(route(AUTHENTICATED + keys))).join(" ")).toBe(places);
  });

  test("session alone leaves Authorization to the application", async () => {
    const keys = `${AUTHENTICATED}issuers: [okta]\nlogin: true\ncredentials: [session]`;
    const { routes } = await loadValid(route(keys));
    expect(routes[0]?.credentials).toEqual([{ kind: "session" }]);
  });

  test("has no meaning on a public route", async () => {
    expect(await placesOf(route("public: true\nlogin: true"))).toEqual([
      "8:5 route_public_guarded",
    ]);
    expect(await placesOf(route("public: true\nlogin: false"))).toEqual([]);
  });

  test("needs publicUrl, told once", async () => {
    const text = route(`${AUTHENTICATED}issuers: [okta]\nlogin: true`).replace(
      "publicUrl: https://gate.acme.dev",
      "listen: 127.0.0.1:0",
    );
    expect(await placesOf(text)).toEqual(["9:12 public_url_missing"]);
    expect(await placesOf(text.replace("listen: 127.0.0.1:0", "publicUrl: gate"))).toEqual([
      "1:12 url_invalid",
    ]);
  });

  test("what an issuer's login has wrong is told there alone", async () => {
    const text = route(`${AUTHENTICATED}issuers: [okta]\nlogin: true`);
    expect(await placesOf(text.replace("{ clientId: gate }", "yes"))).toEqual(["3:54 type_wrong"]);
  });
});

describe("a route without upstream", () => {
  const LONE = "routes:\n  - public: true\n";

  test("is for a proxy that asks about it", async () => {
    const { routes } = await loadValid(`trustedProxies: [127.0.0.1/32]\n${LONE}`);
    expect(routes[0]?.upstreams).toEqual([]);
  });

  test("is a mistake where no proxy could", async () => {
    expect(await placesOf(LONE)).toEqual(["2:5 key_missing"]);
    expect(await placesOf(`trustedProxies: []\n${LONE}`)).toEqual(["3:5 key_missing"]);
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  cleanResponseHeaders,
  planHeaders,
  type RequestFacts,
  requestHeaders,
} from "../../src/proxy/headers.ts";
import { route } from "./proxy-fixture.ts";

// Written out, not imported: a name lost from the source must fail here.
const HOP_BY_HOP = `connection keep-alive proxy-connection te transfer-encoding
  upgrade trailer proxy-authenticate proxy-authorization http2-settings`.split(/\s+/);
const CLAIMED = `x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port
  x-forwarded-server x-forwarded-prefix x-forwarded-uri x-forwarded-method x-forwarded-user
  x-forwarded forwarded x-real-ip x-request-id x-original-url x-original-uri x-rewrite-url
  x-http-method-override x-http-method x-method-override host expect`.split(/\s+/);
const IDENTITY = ["X-User", "X-Roles", "X-Other-Route_Email"];
const OURS = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"];

const FACTS: RequestFacts = {
  forwardedFor: "10.0.0.7",
  proto: "https",
  authority: "api.acme.dev",
  requestId: "request-1",
  identity: [],
  policyHeaders: {},
};

function forwarded(
  inbound: ConstructorParameters<typeof Headers>[0],
  written: Parameters<typeof route>[0] = {},
  facts: Partial<RequestFacts> = {},
): Headers {
  const plan = planHeaders(route(written), IDENTITY);
  const result = requestHeaders(new Headers(inbound), plan, { ...FACTS, ...facts });
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}

const names = (headers: Headers) => [...headers.keys()].sort();

describe("requestHeaders()", () => {
  test("adds these and nothing else", () => {
    expect(Object.fromEntries(forwarded({ "x-a": "1" }))).toEqual({
      "x-a": "1",
      "x-forwarded-for": "10.0.0.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "api.acme.dev",
      "x-request-id": "request-1",
      "user-agent": "", // the least that Bun allows
      accept: "",
    });
  });

  test.each([...HOP_BY_HOP, ...CLAIMED])("takes %s from no client", (name) => {
    const headers = forwarded({ [name]: "evil", accept: "*/*" });
    expect(headers.get(name) ?? "").not.toContain("evil");
    expect(OURS.includes(name)).toBe(headers.has(name));
  });

  test.each(CLAIMED)("takes no look-alike of %s either", (name) => {
    for (const alike of [name.replaceAll("-", "_"), name.replace("-", "_").toUpperCase()]) {
      if (alike === name || !name.includes("-")) continue;
      expect(forwarded({ [alike]: "evil" }).has(alike)).toBe(false);
    }
  });

  test.each([
    "x-user",
    "X-USER",
    "X_User",
    "x_user",
    "X-Other-Route-Email",
    "x_other_route_email",
    "X-other_route-email",
    "X.User",
    "x~user",
    "X-Other.Route+Email",
  ])("drops %s: some route uses it for identity", (name) => {
    const headers = forwarded({ [name]: "mallory" });
    expect([...headers.values()]).not.toContain("mallory");
  });

  test("sets identity after Connection has been obeyed", () => {
    const inbound = { connection: "close, X-User, x-forwarded-for, X-Mine", "x-mine": "1" };
    const headers = forwarded(inbound, {}, { identity: [["X-User", "alice"]] });
    expect(headers.get("x-user")).toBe("alice");
    expect(headers.get("x-forwarded-for")).toBe("10.0.0.7");
    expect(headers.has("x-mine")).toBe(false);
  });

  test.each(["bad name", "a, b c", "x\u00e9", "a;b", '"x"'])(
    "refuses the Connection option in %j",
    (connection) => {
      const plan = planHeaders(route(), []);
      expect(requestHeaders(new Headers({ connection }), plan, FACTS)).toMatchObject({
        ok: false,
        error: { reason: "connection_option_invalid" },
      });
    },
  );

  test("lets the route's identity win over policies, and policies over the route's edits", () => {
    const requestHeaders = { set: { "X-User": "route", "X-A": "route" }, remove: ["X-B"] };
    const headers = forwarded(
      { "x-b": "1", "x-a": "client" },
      { requestHeaders },
      { policyHeaders: { "x-user": "policy", "x-a": "policy" }, identity: [["X-User", "alice"]] },
    );
    expect(headers.get("x-user")).toBe("alice");
    expect(headers.get("x-a")).toBe("policy");
    expect(headers.has("x-b")).toBe(false);
  });

  test("keeps what the client said of itself, several values too", () => {
    const inbound = new Headers({ "user-agent": "curl/8", accept: "text/html" });
    inbound.append("x-a", "1");
    inbound.append("x-a", "2");
    const headers = forwarded(inbound);
    expect(headers.get("user-agent")).toBe("curl/8");
    expect(headers.get("accept")).toBe("text/html");
    expect(headers.get("x-a")).toBe("1, 2");
  });

  test("sets Host only where it is to be preserved, from the checked authority", () => {
    expect(forwarded({ host: "evil" }).has("host")).toBe(false);
    expect(forwarded({ host: "evil" }, { preserveHost: true }).get("host")).toBe("api.acme.dev");
  });

  test("leaves the caller's headers untouched", () => {
    const inbound = new Headers({ te: "trailers", "x-user": "mallory" });
    forwarded(inbound);
    expect(names(inbound)).toEqual(["te", "x-user"]);
  });

  test("holds for any mixture of names", () => {
    const name = fc
      .constantFrom(...HOP_BY_HOP, ...CLAIMED, ...IDENTITY, "X-Mine", "Accept", "Cookie", "X-User2")
      .chain((word) => fc.tuple(fc.constant(word), fc.array(fc.boolean(), { maxLength: 30 })))
      .map(([word, flips]) =>
        [...word]
          .map((character, index) => {
            if (!flips[index]) return character;
            return character === "-" ? "_" : character.toUpperCase();
          })
          .join(""),
      );
    const dropped = new Set([...HOP_BY_HOP, ...CLAIMED, ...IDENTITY].map(folded));
    fc.assert(
      fc.property(fc.array(name), fc.array(name, { maxLength: 3 }), (present, listed) => {
        const inbound = new Headers(present.map((one) => [one, "evil"]));
        inbound.set("connection", listed.join(", "));
        const headers = forwarded(inbound, {}, { identity: [["X-User", "alice"]] });
        expect(headers.get("x-user")).toBe("alice");
        for (const ours of OURS) expect(headers.get(ours)).not.toContain("evil");
        for (const [left, value] of headers) {
          if (value.includes("evil")) expect(dropped).not.toContain(folded(left));
        }
        for (const one of present) {
          const goes = dropped.has(folded(one)) || listed.some((other) => same(one, other));
          if (!goes) expect(headers.get(one)).toContain("evil");
        }
      }),
    );
  });
});

const folded = (name: string) => name.toLowerCase().replaceAll("_", "-");
const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

describe("the credential", () => {
  test("goes from Authorization, but another scheme is the application's", () => {
    expect(forwarded({ authorization: "bearer  abc" }).has("authorization")).toBe(false);
    expect(forwarded({ authorization: "BEARER" }).has("authorization")).toBe(false);
    expect(forwarded({ authorization: "Bearer\tabc" }).has("authorization")).toBe(false);
    expect(forwarded({ authorization: "Basic a, Bearer b" }).has("authorization")).toBe(false);
    expect(forwarded({ authorization: "Basic abc" }).get("authorization")).toBe("Basic abc");
  });

  test("stays with forwardToken, and on a public route", () => {
    const inbound = { authorization: "Bearer abc" };
    expect(forwarded(inbound, { forwardToken: true }).get("authorization")).toBe("Bearer abc");
    expect(forwarded(inbound, { public: true }).get("authorization")).toBe("Bearer abc");
  });

  test("goes from a header of its own, and from that alone", () => {
    const credentials = [{ kind: "header", name: "X-Token" }] as const;
    const inbound = { "x-token": "abc", X_Token: "abc", authorization: "Bearer other" };
    const headers = forwarded(inbound, { credentials });
    expect(headers.has("x-token")).toBe(false);
    expect(headers.has("x_token")).toBe(false);
    expect(headers.get("authorization")).toBe("Bearer other");
  });

  test("goes from its cookie", () => {
    const credentials = [{ kind: "cookie", name: "access" }] as const;
    const headers = forwarded({ cookie: "a=1; access=abc; b=2" }, { credentials });
    expect(headers.get("cookie")).toBe("a=1; b=2");
  });

  test.each(["claimgate", "__Host-claimgate"])("the gate's cookie %s always goes", (name) => {
    for (const written of [{}, { public: true }, { forwardToken: true }]) {
      expect(forwarded({ cookie: `${name}=secret` }, written).has("cookie")).toBe(false);
      expect(forwarded({ cookie: `${name}=s; a=1` }, written).get("cookie")).toBe("a=1");
    }
  });
});

describe("cleanResponseHeaders()", () => {
  const plan = planHeaders(
    route({ responseHeaders: { set: { "X-Frame-Options": "DENY" }, remove: ["Server"] } }),
    [],
  );

  test.each(HOP_BY_HOP)("drops %s and keeps the rest", (name) => {
    const headers = new Headers({ [name]: "close", etag: "1" });
    expect(cleanResponseHeaders(headers, plan, "request-1").ok).toBe(true);
    expect(names(headers)).toEqual(["etag", "x-frame-options", "x-request-id"]);
  });

  test("drops what Connection lists, edits, and says our request id, not the upstream's", () => {
    const headers = new Headers({ connection: "x-hop, X-Frame-Options", "x-hop": "1" });
    headers.set("server", "nginx");
    headers.set("x-request-id", "theirs");
    cleanResponseHeaders(headers, plan, "request-1");
    expect(Object.fromEntries(headers)).toEqual({
      "x-frame-options": "DENY",
      "x-request-id": "request-1",
    });
  });

  test("keeps several cookies apart", () => {
    const headers = new Headers();
    headers.append("set-cookie", "a=1; Path=/");
    headers.append("set-cookie", "b=2");
    cleanResponseHeaders(headers, plan, "request-1");
    expect(headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2"]);
  });

  test("refuses a Connection option that is not a field name", () => {
    const error = { reason: "connection_option_invalid" as const, option: "bad name" };
    const headers = new Headers({ connection: "close, bad name" });
    expect(cleanResponseHeaders(headers, plan, "request-1")).toEqual({ ok: false, error });
  });
});

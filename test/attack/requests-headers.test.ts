/** Headers by which a client would speak in the gate's name: the upstream sees only ours. */
import { describe, expect, test } from "bun:test";
import type { Seen } from "../support/recording-upstream.ts";
import { bearer, shoot } from "./attack-gate.ts";
import { type Refused, token, useRequestGate } from "./request-gate.ts";

const { refuse, world } = useRequestGate();

const SUBJECT = "alice-3f9c1d";
const FORGED = "root-forged";

async function seen(target: string, lines: readonly string[]): Promise<Seen> {
  const { gate, upstream } = world();
  const before = upstream.seen.length;
  const answer = await shoot(gate, { target, lines });
  expect([answer.status, upstream.seen.length]).toEqual([200, before + 1]);
  const last = upstream.seen.at(-1);
  if (last === undefined) throw new Error("the upstream saw nothing");
  return last;
}

function forgedIn({ headers }: Seen): string[] {
  return [...headers].filter(([, value]) => value.includes(FORGED)).map(([name]) => name);
}

const ALIASES = [
  "X-User",
  "x-user",
  "X-USER",
  "x-UsEr",
  "X_User",
  "x_user",
  "X_USER",
  "X-Roles",
  "X_Roles",
  "X-Email",
  "x_email",
  // One variable with X-User to lighttpd, and to Apache before 2.4.
  "X.User",
  "x~user",
  "X+Email",
];

const PROXIES = [
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "X-Forwarded-Host",
  "X-Forwarded-Port",
  "X-Forwarded-Prefix",
  "X-Forwarded-Uri",
  "X-Forwarded-Method",
  "X-Forwarded-User",
  "X-Forwarded-Email",
  "X-Forwarded-Groups",
  "X-Forwarded-Access-Token",
  "X-Forwarded-Preferred-Username",
  "X-Forwarded-Client-Cert",
  "X-Forwarded-Anything",
  "X_Forwarded_For",
  "x_forwarded_user",
  "X-Forwarded_For",
  "X_Forwarded-Host",
  "Forwarded",
  "X-Real-IP",
  "X_Real_IP",
  "X-Original-URL",
  "X_Original_URL",
  "X-Original-URI",
  "X-Rewrite-URL",
  "X_Rewrite_URL",
  "X-HTTP-Method-Override",
  "X_HTTP_Method_Override",
  "X-HTTP-Method",
  "X-Method-Override",
  "X-Request-Id",
  "X_Request_Id",
  "X.Forwarded.For",
  "X-Forwarded~Proto",
  "X.Original.URL",
  "X|Request|Id",
];

describe.each([
  ["a guarded route", "/admin/x", [bearer(token())]],
  ["a public route", "/public/x", []],
])("on %s", (_, target, usual) => {
  test.each([...ALIASES, ...PROXIES])("%s is not believed", async (name) => {
    expect(forgedIn(await seen(target, [...usual, `${name}: ${FORGED}`]))).toEqual([]);
  });

  test.each([...ALIASES, ...PROXIES])(
    "%s is not believed before the rest, or twice",
    async (name) => {
      const forged = [`${name}: ${FORGED}`, `${name}: ${FORGED}`];
      expect(forgedIn(await seen(target, [...forged, ...usual]))).toEqual([]);
    },
  );

  test("all of them at once", async () => {
    const forged = [...ALIASES, ...PROXIES].map((name) => `${name}: ${FORGED}`);
    expect(forgedIn(await seen(target, [...forged, ...usual]))).toEqual([]);
  });

  test("the gate's own, and no more", async () => {
    const { headers } = await seen(target, [...usual, "X-Forwarded-For: 10.0.0.1, 10.0.0.2"]);
    expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(headers.get("x-forwarded-proto")).toBe("http");
    expect(headers.get("x-forwarded-host")).toBe("gate.test");
    const expected = ["accept", "accept-encoding", "connection", "host", "user-agent"];
    const ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
    const identity = target.startsWith("/admin") ? ["x-user"] : [];
    const names = [...headers.keys()].filter(
      (name) => ![...expected, ...ours, ...identity].includes(name),
    );
    expect(names).toEqual([]);
    expect(headers.get("user-agent") ?? "").toBe("");
    expect(headers.get("accept") ?? "").toBe("");
  });
});

describe("Connection takes nothing of ours away", () => {
  const OURS = [
    "X-User",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Request-Id",
  ];
  test.each([
    ...OURS.map((name) => [name, [`Connection: ${name}`]] as const),
    ["all of them", [`Connection: close, ${OURS.join(", ")}`]] as const,
    ["all of them, in small letters", [`connection: ${OURS.join(",").toLowerCase()}`]] as const,
    [
      "all of them, in two lines",
      ["Connection: X-User", "Connection: X-Forwarded-For, X-Request-Id"],
    ] as const,
    ["empty options", ["Connection: ,, ,X-User,,"]] as const,
    ["by its old name", ["Proxy-Connection: X-User, X-Forwarded-For"]] as const,
  ])("%s", async (_, lines) => {
    const { headers } = await seen("/admin/x", [...lines, bearer(token())]);
    expect(headers.get("x-user")).toBe(SUBJECT);
    expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(headers.get("x-forwarded-proto")).toBe("http");
    expect(headers.get("x-forwarded-host")).toBe("gate.test");
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("what it names of the client's goes", async () => {
    const lines = ["Connection: X-Hop, close", "X-Hop: 1", "X-Kept: 2"];
    const { headers } = await seen("/public/x", lines);
    expect(headers.has("x-hop")).toBe(false);
    expect(headers.get("x-kept")).toBe("2");
  });

  test("Host and the body's length stay, whatever it names", async () => {
    const { gate, upstream } = world();
    const lines = ["Connection: Host, Content-Length, Content-Type", "Content-Length: 5"];
    const shot = { method: "POST", target: "/public/x", lines, body: "abcde" };
    expect((await shoot(gate, shot)).status).toBe(200);
    expect(upstream.seen.at(-1)?.body).toBe("abcde");
    expect(upstream.seen.at(-1)?.headers.get("host")).toBe(new URL(upstream.origin).host);
  });

  test.each([
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: Basic YTpi",
    "TE: trailers",
    "Trailer: X-User",
    "Upgrade: websocket",
  ])("%s ends here", async (line) => {
    const { headers } = await seen("/public/x", [line]);
    expect(headers.has(line.slice(0, line.indexOf(":")))).toBe(false);
  });
});

describe("a claim that is not there", () => {
  test("removes the header, whoever sent it", async () => {
    const lines = ["X-Roles: admin", "X-Email: root@corp.test", "X_Roles: admin", bearer(token())];
    const { headers } = await seen("/admin/x", lines);
    expect(headers.get("x-user")).toBe(SUBJECT);
    for (const name of ["x-roles", "x-email", "x_roles", "x_email"]) {
      expect(headers.has(name)).toBe(false);
    }
  });

  test("of one token is not another's", async () => {
    await seen("/admin/x", [bearer(token({ roles: ["admin"], email: "a@corp.test" }))]);
    const { headers } = await seen("/admin/x", [bearer(token({ jti: "2" }))]);
    expect(headers.has("x-roles")).toBe(false);
    expect(headers.has("x-email")).toBe(false);
  });

  test("a value beyond ASCII goes as UTF-8", async () => {
    const { headers } = await seen("/admin/x", [bearer(token({ sub: "Zoë" }))]);
    expect(Buffer.from(headers.get("x-user") ?? "", "latin1").toString("utf8")).toBe("Zoë");
  });
});

describe("headers that would change the decision", () => {
  const at = (...lines: readonly string[]): Refused[1] => ({ target: "/admin/x", lines });
  const missing = (line: string): Refused => [line, at(line), 401, "token_missing"];
  refuse([
    missing("X-Original-URL: /public/x"),
    missing("X-Rewrite-URL: /public/x"),
    missing("X-Original-URI: /public/x"),
    missing("X-Forwarded-Uri: /public/x"),
    missing("X-Forwarded-Path: /public/x"),
    missing("X-Forwarded-Prefix: /public"),
    missing("X-Forwarded-Method: OPTIONS"),
    missing("X-Original-Method: OPTIONS"),
    missing("X-Envoy-Original-Path: /public/x"),
    missing("X-HTTP-Method-Override: OPTIONS"),
    missing("X-User: root"),
    missing("X-Forwarded-User: root"),
    missing("X-Auth-Request-User: root"),
    missing("X-Claimgate-Assertion: e30.e30.e30"),
    missing("X-Middleware-Subrequest: middleware"),
    missing("X-Forwarded-For: 127.0.0.1"),
    missing("Origin: null"),
    missing("Accept: text/plain"),
    missing("Purpose: prefetch"),
    [
      "X-Forwarded-Host of a public route",
      { target: "/hosted/x", host: "secret.test", lines: ["X-Forwarded-Host: gate.test"] },
      401,
      "token_missing",
    ],
    [
      "X-Host, X-HTTP-Host-Override of a public route",
      {
        target: "/hosted/x",
        host: "secret.test",
        lines: ["X-Host: gate.test", "X-HTTP-Host-Override: gate.test"],
      },
      401,
      "token_missing",
    ],
    [
      "a Connection option that is no name",
      { target: "/public/x", lines: ["Connection: close, bad name"] },
      400,
      "request_malformed",
    ],
  ]);
});

describe("answers", () => {
  test("have our id, never the client's", async () => {
    const { gate } = world();
    const lines = ["X-Request-Id: client-chosen-id"];
    for (const target of ["/public/x", "/admin/x", "/nothing", "/public/%00"]) {
      const { headers } = await shoot(gate, { target, lines });
      expect(headers["x-request-id"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
    }
  });

  test("a denial for a person tells no more than one for a program", async () => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const lines = ["Accept: text/html", bearer(token({ aud: "billing-7c1", exp: 5 }))];
    const denied = await shoot(gate, {
      target: "/admin/<b>reflected</b>?q=<i>reflected</i>",
      lines,
    });
    expect(denied.status).toBe(401);
    expect(denied.headers["content-type"]).toStartWith("text/html");
    expect(denied.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(denied.headers["cache-control"]).toBe("no-store");
    for (const secret of ["billing-7c1", SUBJECT, "reflected", "main.test", "127.0.0.1"]) {
      expect(denied.body).not.toContain(secret);
    }
    expect(upstream.seen.slice(before)).toEqual([]);
  });

  test("a HEAD that is denied has no body", async () => {
    const { gate } = world();
    const { status, headers } = await shoot(gate, { method: "HEAD", target: "/admin/x" });
    expect(status).toBe(401);
    expect(headers["www-authenticate"]).toBe('Bearer realm="claimgate"');
  });
});

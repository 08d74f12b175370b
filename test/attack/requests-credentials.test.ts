/** Requests whose credential stands oddly: where it may be, twice, in pieces, under a wrong scheme. */
import { describe, expect, test } from "bun:test";
import { bearer, shoot } from "./attack-gate.ts";
import { malformed, type Passed, type Refused, token, useRequestGate } from "./request-gate.ts";

const { refuse, pass, world } = useRequestGate();

const TOKEN = token();
const admin = (...lines: readonly string[]) => ({ target: "/admin/x", lines });
const to = (target: string, ...lines: readonly string[]) => ({ target, lines });
const missing = (name: string, request: Refused[1]): Refused => [
  name,
  request,
  401,
  "token_missing",
];
const invalid = (name: string, request: Refused[1]): Refused => [
  name,
  request,
  401,
  "token_invalid",
];
const good = (name: string, request: Passed[1], target = "/admin/x"): Passed => [
  name,
  request,
  target,
];

describe("Authorization", () => {
  pass([
    good("as usual", admin(bearer(TOKEN))),
    good("scheme in small letters", admin(`Authorization: bearer ${TOKEN}`)),
    good("scheme in capitals", admin(`authorization: BEARER ${TOKEN}`)),
    good("many spaces", admin(`Authorization: Bearer     ${TOKEN}`)),
    good("spaces around it", admin(`Authorization:    Bearer ${TOKEN}   `)),
  ]);
  refuse([
    missing("absent", admin()),
    missing("empty", admin("Authorization:")),
    missing("another scheme", admin("Authorization: Basic YWxpY2U6c2VjcmV0")),
    missing("another scheme with a good token", admin(`Authorization: Token ${TOKEN}`)),
    missing("a scheme that begins like it", admin(`Authorization: BearerX ${TOKEN}`)),
    missing("a good token and no scheme", admin(`Authorization: ${TOKEN}`)),
    missing("DPoP", admin(`Authorization: DPoP ${TOKEN}`)),
    missing("under another name", admin(`Proxy-Authorization: Bearer ${TOKEN}`)),
    missing("under a look-alike", admin(`X-Authorization: Bearer ${TOKEN}`)),
    missing(
      "a token of the issuer, named as a user",
      admin(`Authorization: Basic ${btoa(`${TOKEN}:`)}`),
    ),
    invalid("scheme alone", admin("Authorization: Bearer")),
    invalid("scheme and a space", admin("Authorization: Bearer ")),
    invalid("two tokens after one scheme", admin(`Authorization: Bearer ${TOKEN} ${TOKEN}`)),
    invalid("scheme twice", admin(`Authorization: Bearer Bearer ${TOKEN}`)),
    invalid("a quoted token", admin(`Authorization: Bearer "${TOKEN}"`)),
    invalid("a parameter after it", admin(`Authorization: Bearer ${TOKEN};a=b`)),
    invalid("a name before it", admin(`Authorization: Bearer token=${TOKEN}`)),
    invalid("bytes beyond ASCII", admin(`Authorization: Bearer ${TOKEN}\u00e9`)),
    invalid("a no-break space after it", admin(`Authorization: Bearer ${TOKEN}\u00a0`)),
    malformed("two lines", admin(bearer(TOKEN), bearer(TOKEN))),
    malformed(
      "two lines, names in other cases",
      admin(bearer(TOKEN), `AUTHORIZATION: bearer ${TOKEN}`),
    ),
    malformed("two lines, the good one last", admin(bearer("a.b.c"), bearer(TOKEN))),
    malformed("two lines, the good one first", admin(bearer(TOKEN), bearer("a.b.c"))),
    malformed("two lines, another scheme first", admin("Authorization: Basic YTpi", bearer(TOKEN))),
    malformed("two lines, another scheme last", admin(bearer(TOKEN), "Authorization: Basic YTpi")),
    malformed("two lines, one empty", admin(bearer(TOKEN), "Authorization:")),
  ]);
});

describe("where a route does not look", () => {
  refuse([
    missing("a query on a route of headers", to(`/admin/x?access_token=${TOKEN}`)),
    missing("a cookie on a route of headers", admin(`Cookie: access=${TOKEN}`)),
    missing("a header on a route of cookies", to("/cookie/x", bearer(TOKEN))),
    missing("a header on a route of another", to("/named/x", bearer(TOKEN))),
    missing("a header on a route of queries", to("/query/x", bearer(TOKEN))),
    missing("a look-alike of the route's header", to("/named/x", `X_Token: ${TOKEN}`)),
    missing("a body", {
      method: "POST",
      target: "/query/x",
      lines: [
        "Content-Type: application/x-www-form-urlencoded",
        `Content-Length: ${13 + TOKEN.length}`,
      ],
      body: `access_token=${TOKEN}`,
    }),
    missing("a cookie of another case", to("/cookie/x", `Cookie: Access=${TOKEN}`)),
    missing("a cookie whose name ends alike", to("/cookie/x", `Cookie: xaccess=${TOKEN}`)),
    missing("a cookie whose name begins alike", to("/cookie/x", `Cookie: access2=${TOKEN}`)),
    missing("a cookie within a cookie", to("/cookie/x", `Cookie: a="; access"=${TOKEN}`)),
    missing("a parameter of another case", to(`/query/x?Access_Token=${TOKEN}`)),
    missing("the gate's own cookies", to("/cookie/x", "Cookie: claimgate=a; __Host-claimgate=b")),
  ]);
});

describe("cookies", () => {
  const cookie = (text: string) => to("/cookie/x", `Cookie: ${text}`);
  pass([
    good("alone", cookie(`access=${TOKEN}`), "/cookie/x"),
    good("among others", cookie(`a=b; access=${TOKEN}; c=d`), "/cookie/x"),
    good("among oddities", cookie(`;; ; =; a; =b;access=${TOKEN};;`), "/cookie/x"),
  ]);
  refuse([
    malformed("twice in one line", cookie(`access=${TOKEN}; access=${TOKEN}`)),
    malformed("twice, the good one last", cookie(`access=a.b.c; access=${TOKEN}`)),
    malformed(
      "twice in two lines",
      to("/cookie/x", `Cookie: access=${TOKEN}`, `Cookie: access=${TOKEN}`),
    ),
    invalid("empty", cookie("access=")),
    invalid("quoted", cookie(`access="${TOKEN}"`)),
    invalid("escaped", cookie(`access=${TOKEN.replaceAll(".", "%2E")}`)),
    invalid("with a comma", cookie(`access=${TOKEN},${TOKEN}`)),
    missing("chunks without end", cookie("access_0=a; access_1=b; access_1000000000=c")),
    missing("nothing but separators", cookie(";".repeat(2_000))),
  ]);
});

describe("a header of the route's own", () => {
  pass([
    good("bare", to("/named/x", `X-Token: ${TOKEN}`), "/named/x"),
    good("with a scheme", to("/named/x", `x-token: bearer ${TOKEN}`), "/named/x"),
  ]);
  refuse([
    malformed("twice", to("/named/x", `X-Token: ${TOKEN}`, `X-TOKEN: ${TOKEN}`)),
    malformed("twice, the good one last", to("/named/x", "X-Token: a.b.c", `X-Token: ${TOKEN}`)),
    invalid("empty", to("/named/x", "X-Token:")),
    invalid("scheme alone", to("/named/x", "X-Token: Bearer")),
    invalid("another scheme", to("/named/x", `X-Token: Basic ${TOKEN}`)),
  ]);
});

describe("a query", () => {
  pass([
    ["taken out", to(`/query/x?access_token=${TOKEN}`), "/query/x"],
    [
      "taken out from among others",
      to(`/query/x?a=%20b&access_token=${TOKEN}&c=d`),
      "/query/x?a=%20b&c=d",
    ],
    ["taken out under an escaped name", to(`/query/x?acc%65ss_token=${TOKEN}&c`), "/query/x?c"],
  ]);
  refuse([
    malformed("twice", to(`/query/x?access_token=${TOKEN}&access_token=${TOKEN}`)),
    malformed("twice, once escaped", to(`/query/x?access_token=${TOKEN}&acc%65ss_token=a`)),
    malformed("twice, once empty", to(`/query/x?access_token=${TOKEN}&access_token`)),
    invalid("empty", to("/query/x?access_token=")),
    invalid("without a value", to("/query/x?access_token")),
    invalid("with a space after it", to(`/query/x?access_token=${TOKEN}+`)),
    invalid("with a NUL after it", to(`/query/x?access_token=${TOKEN}%00`)),
    missing("after a semicolon", to(`/query/x?a;access_token=${TOKEN}`)),
    missing("as a list", to(`/query/x?access_token[]=${TOKEN}`)),
  ]);
});

describe("two places at once", () => {
  const both = (...lines: readonly string[]) => to("/places/x", ...lines);
  const query = `/places/x?access_token=${TOKEN}`;
  pass([
    good("one of four", both(bearer(TOKEN)), "/places/x"),
    good("another of four", both(`Cookie: access=${TOKEN}`), "/places/x"),
  ]);
  refuse([
    malformed("header and cookie", both(bearer(TOKEN), `Cookie: access=${TOKEN}`)),
    malformed("header and header", both(bearer(TOKEN), `X-Token: ${TOKEN}`)),
    malformed("header and query", to(query, bearer(TOKEN))),
    malformed("cookie and query", to(query, `Cookie: access=${TOKEN}`)),
    malformed("a good one and an empty one", both(bearer(TOKEN), "Cookie: access=")),
    malformed("a good one and a bad one", both(bearer("x"), `X-Token: ${TOKEN}`)),
    malformed(
      "all of them",
      to(query, bearer(TOKEN), `X-Token: ${TOKEN}`, `Cookie: access=${TOKEN}`),
    ),
  ]);
});

describe("what the upstream sees of it", () => {
  const seen = async (shot: { target: string; lines: readonly string[] }) => {
    const { gate, upstream } = world();
    expect((await shoot(gate, shot)).status).toBe(200);
    const last = upstream.seen.at(-1);
    if (last === undefined) throw new Error("the upstream saw nothing");
    return last;
  };
  const everything = ({ target, headers, body }: Awaited<ReturnType<typeof seen>>) =>
    JSON.stringify([target, [...headers], body]);

  test.each([
    ["header", admin(bearer(TOKEN))],
    ["header, spaced out", admin(`Authorization:  bEaReR   ${TOKEN}`)],
    ["cookie", to("/cookie/x", `Cookie: a=b; access=${TOKEN}`)],
    ["named header", to("/named/x", `X-Token: ${TOKEN}`)],
    ["named header and its look-alike", to("/named/x", `X-Token: ${TOKEN}`, `X_Token: ${TOKEN}`)],
    ["query", to(`/query/x?access_token=${TOKEN}`)],
    ["query, escaped", to(`/query/x?%61ccess_token=${TOKEN}`)],
    ["header, named in Connection", admin("Connection: Authorization", bearer(TOKEN))],
  ])("nothing of the %s", async (_, shot) => {
    expect(everything(await seen(shot))).not.toContain(TOKEN.slice(0, 20));
  });

  test("other cookies, byte for byte", async () => {
    const cookie = `a="b c"; access=${TOKEN}; claimgate=own; __Host-claimgate=own; d=e%20f`;
    const { headers } = await seen(to("/cookie/x", `Cookie: ${cookie}`));
    expect(headers.get("cookie")).toBe('a="b c"; d=e%20f');
  });

  test("the token, where the route says so", async () => {
    const { headers } = await seen(to("/kept/x", bearer(TOKEN)));
    expect(headers.get("authorization")).toBe(`Bearer ${TOKEN}`);
  });

  test("the application's own Authorization on a public route, and no gate's cookie", async () => {
    const lines = ["Authorization: Basic YTpi", "Cookie: claimgate=own; a=b; __Host-claimgate=own"];
    const { headers } = await seen(to("/public/x", ...lines));
    expect(headers.get("authorization")).toBe("Basic YTpi");
    expect(headers.get("cookie")).toBe("a=b");
  });
});

describe("a token of one place at another", () => {
  refuse([
    invalid("of another audience", admin(bearer(token({ aud: "billing" })))),
    invalid("of another issuer", admin(bearer(token({ iss: "https://evil.test" })))),
    [
      "of a good one, from outside the network",
      to("/network/x", bearer(TOKEN)),
      403,
      "policy_denied",
    ],
    [
      "of a good one, from an address that it claims",
      to(
        "/network/x",
        bearer(TOKEN),
        "X-Forwarded-For: 10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "X-Client-IP: 10.0.0.1",
        "True-Client-IP: 10.0.0.1",
        "CF-Connecting-IP: 10.0.0.1",
      ),
      403,
      "policy_denied",
    ],
  ]);
});

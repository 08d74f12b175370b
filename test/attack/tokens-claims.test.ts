/** Tokens of a good signature whose claims do not hold: types, times, audiences, issuers. */
import { describe, expect, test } from "bun:test";
import { bearer, NOW, shoot } from "./attack-gate.ts";
import { forge } from "./forge.ts";
import {
  claims,
  claimsWithout,
  holds,
  invalid,
  keys,
  MAIN,
  signed,
  type TokenRow,
  useTokenGate,
} from "./token-gate.ts";

const { fire, world } = useTokenGate();

/** Claims as text, so that numbers stand as no serializer would write them. */
const text = (name: string, json: string) =>
  `{${JSON.stringify(claimsWithout(name)).slice(1, -1)},"${name}":${json}}`;
const withClaim = (name: string, json: string) => () => signed(text(name, json));
const expired = (name: string, build: TokenRow[1]): TokenRow => [name, build, 401, "token_expired"];

const TOLERANCE = 30;
const DAY = 86_400;

describe("iss", () => {
  const wrong = [
    "https://main.test/",
    "https://MAIN.test",
    "HTTPS://main.test",
    "http://main.test",
    "https://main.test:443",
    "https://main.test#",
    "https://main.test?",
    " https://main.test",
    "https://main.test ",
    "https://main.test\u0000",
    "https://main.test\n",
    "https://main.tes",
    "https://main.test.evil.test",
    "https://evil.test",
    "https://mаin.test", // a Cyrillic а
    "https://other.test",
    "main",
    "",
    "__proto__",
    "constructor",
  ];
  const types = ["null", "0", "true", "[]", "{}", `["${MAIN}"]`, `["https://evil.test","${MAIN}"]`];
  fire([
    invalid("absent", () => signed(claimsWithout("iss"))),
    ...wrong.map((iss) => invalid(JSON.stringify(iss), () => signed(claims({ iss })))),
    ...[...types, `{"0":"${MAIN}"}`].map((json) => invalid(json, withClaim("iss", json))),
    invalid("another issuer's, whose key has the same kid", () =>
      forge({ alg: "RS256", kid: "rsa" }, claims(), keys.other, "RS256"),
    ),
  ]);
});

describe("aud", () => {
  const good = ['"api"', '"api-two"', '["api"]', '["evil","api"]', '["api","api"]'];
  const bad = [
    "null",
    "0",
    "true",
    "{}",
    '{"0":"api"}',
    '""',
    "[]",
    '["evil"]',
    '[["api"]]',
    '["api",1]',
    '["api",null]',
    '["api",["api"]]',
    '"evil"',
    '"API"',
    '"api "',
    '"api api-two"',
    '"api,evil"',
    '"ap"',
    '"api-three"',
    '"ap\\u0131"',
    '"*"',
    '"api\\u0000"',
    '"__proto__"',
    '"length"',
  ];
  fire([
    ...good.map((json) => holds(json, withClaim("aud", json))),
    invalid("absent", () => signed(claimsWithout("aud"))),
    ...bad.map((json) => invalid(json, withClaim("aud", json))),
  ]);
});

describe("exp", () => {
  const types = [
    "null",
    "true",
    '""',
    `"${NOW + 300}"`,
    `[${NOW + 300}]`,
    "{}",
    `{"valueOf":${NOW + 300}}`,
    '"Infinity"',
    '"2099-01-01T00:00:00Z"',
    "1e999",
    "-1e999",
  ];
  const beyond = ["1e308", "1e30", `${NOW + 300}000`, "9007199254740993", "253402300800"];
  fire([
    invalid("absent", () => signed(claimsWithout("exp"))),
    ...types.map((json) => invalid(json, withClaim("exp", json))),
    ...beyond.map((json) =>
      invalid(`${json}, longer than any token may live`, withClaim("exp", json)),
    ),
    expired("0", withClaim("exp", "0")),
    expired("-1", withClaim("exp", "-1")),
    expired("-1e308", withClaim("exp", "-1e308")),
    expired("a second beyond the tolerance", withClaim("exp", `${NOW - TOLERANCE - 1}`)),
    expired("at the end of the tolerance", withClaim("exp", `${NOW - TOLERANCE}`)),
    holds("a second within the tolerance", withClaim("exp", `${NOW - TOLERANCE + 1}`)),
    holds("with a fraction", withClaim("exp", `${NOW + 1}.5`)),
    holds("with an exponent", withClaim("exp", `${(NOW + 60) / 10}e1`)),
    expired("long ago", () => signed(claims({ iat: NOW - 7200, exp: NOW - 3600 }))),
    invalid("long ago, and a bad signature", () =>
      forge(
        { alg: "RS256", kid: "rsa" },
        claims({ iat: NOW - 7200, exp: NOW - 3600 }),
        keys.evil,
        "RS256",
      ),
    ),
    invalid("long ago, and no signature", () =>
      signed(claims({ exp: NOW - 3600 })).replace(/[^.]*$/, ""),
    ),
    invalid("long ago, of an issuer that nobody knows", () =>
      signed(claims({ iss: "https://evil.test", exp: NOW - 3600 })),
    ),
  ]);
});

describe("lifetime", () => {
  fire([
    holds("a day from iat", () => signed(claims({ iat: NOW, exp: NOW + DAY }))),
    holds("a day from iat, long after it", () =>
      signed(claims({ iat: NOW - DAY + 5, exp: NOW + 5 })),
    ),
    invalid("more than a day and the tolerance from iat", () =>
      signed(claims({ iat: NOW - 1000, exp: NOW - 1000 + DAY + TOLERANCE + 1 })),
    ),
    holds("a day from now, without iat", () => signed({ ...claimsWithout("iat"), exp: NOW + DAY })),
    invalid("more than a day and the tolerance from now, without iat", () =>
      signed({ ...claimsWithout("iat"), exp: NOW + DAY + TOLERANCE + 1 }),
    ),
    invalid("ten years", () => signed(claims({ exp: NOW + 3650 * DAY }))),
    invalid("ten years, without iat", () =>
      signed({ ...claimsWithout("iat"), exp: NOW + 3650 * DAY }),
    ),
    invalid("an iat of 1970", withClaim("iat", "0")),
    invalid("an iat before 1970", withClaim("iat", "-1")),
    invalid("an iat of -1e308", withClaim("iat", "-1e308")),
  ]);
});

describe.each(["iat", "nbf"])("%s", (name) => {
  const types = ["null", "true", '""', `"${NOW - 10}"`, `[${NOW - 10}]`, "{}", "1e999", "-1e999"];
  const late = (seconds: number, fraction = "") =>
    withClaim(name, `${NOW + TOLERANCE + seconds}${fraction}`);
  fire([
    holds("absent", () => signed(claimsWithout(name))),
    ...types.map((json) => invalid(json, withClaim(name, json))),
    holds("now", withClaim(name, `${NOW}`)),
    holds("at the end of the tolerance", late(0)),
    invalid("half a second beyond the tolerance", late(0, ".5")),
    invalid("a second beyond the tolerance", late(1)),
    invalid("1e308", withClaim(name, "1e308")),
    invalid("in milliseconds", withClaim(name, `${NOW}000`)),
  ]);
});

describe("nbf before all time", () => {
  fire([holds("-1e308", withClaim("nbf", "-1e308")), holds("0", withClaim("nbf", "0"))]);
});

describe("sub", () => {
  fire([
    invalid("absent", () => signed(claimsWithout("sub"))),
    ...["null", "0", "1e999", "true", "[]", '["root"]', "{}"].map((json) =>
      invalid(json, withClaim("sub", json)),
    ),
    holds("beyond ASCII", withClaim("sub", '"Zoë 日本"')),
    ...[
      '"a\\u0000b"',
      '"a\\r\\nX-User: root"',
      '"a\\nb"',
      '"a\\tb"',
      '"\\u001b[31m"',
      '"a\\u007f"',
      '"a\\u0085b"',
    ].map(
      (json): TokenRow => [
        `${json}, which no header can carry`,
        withClaim("sub", json),
        403,
        "policy_denied",
      ],
    ),
  ]);
});

describe("jti", () => {
  fire([
    holds("a string", withClaim("jti", '"1"')),
    ...["null", "0", "true", "[]", '["1"]', "{}"].map((json) =>
      invalid(json, withClaim("jti", json)),
    ),
  ]);
});

describe("claims that the issuer requires", () => {
  const typed = (changes: Readonly<Record<string, unknown>>) => () =>
    forge(
      { alg: "ES256", kid: "p256", typ: "at+jwt" },
      { ...claims({ iss: "https://typed.test", jti: "1", client_id: "c" }), ...changes },
      keys.p256,
      "ES256",
    );
  fire([
    holds("all there", typed({}), "typed"),
    ...["sub", "jti", "client_id"].map((name) =>
      invalid(`no ${name}`, typed({ [name]: undefined }), "typed"),
    ),
  ]);
});

describe("claims that a policy asks for", () => {
  const denied = (route: string, claim: string, json: string): TokenRow => [
    `${claim}: ${json}`,
    withClaim(claim, json),
    403,
    "policy_denied",
    route,
  ];
  const mails = [
    '"alice@evil.test"',
    '"alice@evil.test@corp.test"',
    '"alice@corp.test@evil.test"',
    '"alice@corp.test.evil.test"',
    '"alice@corp.test."',
    '"alice@CORP.test"',
    '"alice@corp\\u3002test"',
    '"alice@corpxtest"',
    '"alice@corp.test\\n"',
    '"alice@corp.test\\nx@evil.test"',
    '"x@evil.test\\nalice@corp.test"',
    '"alice@corp.test\\u0000"',
    '"@corp.test"',
    '"corp.test"',
    '""',
    "null",
    "0",
    "true",
    "{}",
    '{"toString":"alice@corp.test"}',
    '[["alice@corp.test"]]',
    "[]",
  ];
  const flags = ['"true"', "1", "false", "null", "{}", '[["true"]]', '{"verified":"true"}'];
  fire([
    holds("a mail of the domain", withClaim("email", '"alice@corp.test"'), "corp"),
    ...mails.map((json) => denied("corp", "email", json)),
    holds("a flag, as it is asked for", withClaim("org", '{"verified":true}'), "premium"),
    holds("the same by its whole name", withClaim("org.verified", "true"), "premium"),
    ...flags.map((json) => denied("premium", "org", json)),
    ...flags.map((json) => denied("premium", "org.verified", json)),
    denied("premium", "__proto__", '{"org":{"verified":true}}'),
    denied("premium", "org", '{"__proto__":{"verified":true}}'),
  ]);
});

describe("claims that no header can carry", () => {
  const unfit = (name: string, claim: string, json: string): TokenRow => [
    name,
    withClaim(claim, json),
    403,
    "policy_denied",
  ];
  fire([
    unfit("a role with a comma", "roles", '["guest,admin"]'),
    unfit("a role with a line end", "roles", '["guest\\r\\nX-User: root"]'),
    unfit("a text with a NUL", "level", '"\\u0000"'),
  ]);
});

describe("claims that headers do carry", () => {
  const CARRIED: readonly (readonly [string, string, string | null])[] = [
    ["a list", '["a","b"]', "a,b"],
    ["an empty list", "[]", ""],
    ["a number", "3", "3"],
    ["a boolean", "false", "false"],
    ["an object", '{"é":"\\n"}', '{"\\u00e9":"\\n"}'],
    ["a list of other things", "[1,null]", "[1,null]"],
    ["nothing", "", null],
  ];
  test.each(CARRIED)("%s", async (_, json, expected) => {
    const { gate, upstream } = world();
    const token = json === "" ? signed(claims()) : signed(text("level", json));
    const lines = [bearer(token), "X-Level: forged", "X_Level: forged", "x-level: forged"];
    expect((await shoot(gate, { target: "/main/x", lines })).status).toBe(200);
    expect(upstream.seen.at(-1)?.headers.get("x-level")).toBe(expected);
  });
});

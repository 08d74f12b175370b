/** Tokens that are written oddly: segments, base64url, JSON, size. */
import { describe, expect, test } from "bun:test";
import { bearer, expectDenied, NOW, shoot } from "./attack-gate.ts";
import { encode, type Part, signSegments } from "./forge.ts";
import { claims, holds, invalid, keys, signed, type TokenRow, useTokenGate } from "./token-gate.ts";

const { fire, world } = useTokenGate();

const HEADER = { alg: "RS256", kid: "rsa" };
const good = () => signed(claims());
/** Good but for one of its segments, which is changed after signing. */
const altered = (index: 0 | 1 | 2, change: (segment: string) => string) => () =>
  good()
    .split(".")
    .map((segment, at) => (at === index ? change(segment) : segment))
    .join(".");
/** Signed over segments as they are: only the encoding is wrong. */
const resigned = (change: (header: string, payload: string) => readonly [string, string]) => () =>
  signSegments(...change(encode(HEADER), encode(claims())), keys.rsa, "RS256");

describe("segments", () => {
  const shapes: readonly (readonly [string, () => string])[] = [
    ["one", () => good().replaceAll(".", "")],
    ["two", () => good().split(".").slice(0, 2).join(".")],
    ["the last two", () => good().split(".").slice(1).join(".")],
    ["four", () => `${good()}.x`],
    ["five", () => `${good()}.x.x`],
    ["six", () => `${good()}.x.x.x`],
    ["six, a nested token twice", () => `${good()}.${good()}`],
    ["a dot after", () => `${good()}.`],
    ["a dot before", () => `.${good()}`],
    ["a dot doubled", () => good().replace(".", "..")],
    ["a dot", () => "."],
    ["two dots", () => ".."],
    ["four dots", () => "...."],
    ["8,000 dots", () => ".".repeat(8_000)],
    ["no header", altered(0, () => "")],
    ["no payload", altered(1, () => "")],
    ["no signature", altered(2, () => "")],
    [
      "header and payload swapped",
      () => {
        const [header, payload, signature] = good().split(".");
        return `${payload}.${header}.${signature}`;
      },
    ],
    ["a disclosure after it (SD-JWT)", () => `${good()}~`],
    ["a word", () => "null"],
    ["dashes", () => "-.-.-"],
    ["a session's cookie", () => "A".repeat(43)],
  ];
  fire([holds("three, well formed", good), ...shapes.map(([name, build]) => invalid(name, build))]);
});

describe("base64url", () => {
  const withSpare = (segment: string) => {
    const last = segment.at(-1) ?? "A";
    return segment.slice(0, -1) + ALPHABET[ALPHABET.indexOf(last) + 1];
  };
  /** Of a length that leaves spare bits in its last character. */
  const spared = (part: Readonly<Record<string, unknown>>) => {
    for (let pad = ""; ; pad += "x") {
      const segment = encode({ ...part, pad });
      if (segment.length % 4 === 2) return segment;
    }
  };
  const head = encode(HEADER);
  const sign = (header: string, payload: string) =>
    signSegments(header, payload, keys.rsa, "RS256");
  fire([
    holds("a payload whose last character has spare bits, unset", () =>
      sign(head, spared(claims())),
    ),
    invalid("spare bits in the header", () => sign(withSpare(spared(HEADER)), encode(claims()))),
    invalid("spare bits in the payload", () => sign(head, withSpare(spared(claims())))),
    // 256 bytes leave four spare bits in the last of 342 characters.
    invalid("spare bits in the signature", altered(2, withSpare)),
    ...([0, 1, 2] as const).flatMap((index) => {
      const part = ["header", "payload", "signature"][index];
      return [
        invalid(
          `padding after the ${part}`,
          altered(index, (text) => `${text}=`),
        ),
        invalid(
          `a lone character after the ${part}`,
          altered(index, (text) => lonely(text)),
        ),
        invalid(
          `a plus in the ${part}`,
          altered(index, (text) => `+${text.slice(1)}`),
        ),
        invalid(
          `a slash in the ${part}`,
          altered(index, (text) => `/${text.slice(1)}`),
        ),
        invalid(
          `a space in the ${part}`,
          altered(index, (text) => `${text.slice(0, 4)} ${text.slice(4)}`),
        ),
        invalid(
          `a tab in the ${part}`,
          altered(index, (text) => `${text.slice(0, 4)}\t${text.slice(4)}`),
        ),
        invalid(
          `a tilde in the ${part}`,
          altered(index, (text) => `~${text.slice(1)}`),
        ),
        invalid(
          `a percent sign in the ${part}`,
          altered(index, (text) => `%41${text.slice(1)}`),
        ),
        invalid(
          `bytes beyond ASCII in the ${part}`,
          altered(index, (text) => `\u00e9${text.slice(1)}`),
        ),
        invalid(
          `the ${part} cut short`,
          altered(index, (text) => text.slice(0, -3)),
        ),
        invalid(
          `quotes around the ${part}`,
          altered(index, (text) => `"${text}"`),
        ),
      ];
    }),
    invalid("quotes around the whole", () => `"${good()}"`),
    invalid("a comma after it", () => `${good()},`),
    invalid("a semicolon after it", () => `${good()};`),
    invalid(
      "padding in a signed header",
      resigned((header, payload) => [`${header}==`, payload]),
    ),
    invalid(
      "padding in a signed payload",
      resigned((header, payload) => [header, `${payload}=`]),
    ),
    invalid("the other alphabet in a signed payload", () =>
      sign(head, Buffer.from(JSON.stringify(claims({ pad: "???>>>~~~" }))).toString("base64")),
    ),
  ]);
});

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** As long as no base64 is: one more than a multiple of four. */
function lonely(segment: string): string {
  return segment + "A".repeat((5 - (segment.length % 4)) % 4 || 4);
}

const MEMBERS = JSON.stringify(claims()).slice(1, -1);
const HEAD_MEMBERS = JSON.stringify(HEADER).slice(1, -1);
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const raw = (...parts: readonly (string | number[] | Buffer)[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))),
  );

describe("JSON", () => {
  const texts: readonly (readonly [string, Part])[] = [
    ["nothing", ""],
    ["null", "null"],
    ["a number", "1"],
    ["a string", '"x"'],
    ["a list", "[]"],
    ["a list around it", `[${JSON.stringify(claims())}]`],
    ["cut short", `{${MEMBERS}`],
    ["a word after it", `{${MEMBERS}}x`],
    ["twice", `{${MEMBERS}}{${MEMBERS}}`],
    ["a NUL after it", `{${MEMBERS}}\u0000`],
    ["a comma too many", `{${MEMBERS},}`],
    ["a comment", `{/**/${MEMBERS}}`],
    ["single quotes", `{'x':1,${MEMBERS}}`],
    ["a name without quotes", `{x:1,${MEMBERS}}`],
    ["NaN", `{"x":NaN,${MEMBERS}}`],
    ["a number with a leading zero", `{"x":01,${MEMBERS}}`],
    ["a hexadecimal number", `{"x":0x1,${MEMBERS}}`],
    ["a bare line end in a string", `{"x":"a\nb",${MEMBERS}}`],
    ["a bad escape", `{"x":"\\x41",${MEMBERS}}`],
    ["a no-break space", `\u00a0{${MEMBERS}}`],
    ["a vertical tab", `\u000b{${MEMBERS}}`],
    ["a BOM", raw(BOM, `{${MEMBERS}}`)],
    ["a BOM after it", raw(`{${MEMBERS}}`, BOM)],
    ["UTF-16", Buffer.from(`{${MEMBERS}}`, "utf16le")],
    ["Latin-1", raw('{"x":"', [0xe9], `",${MEMBERS}}`)],
    ["an overlong slash", raw('{"x":"', [0xc0, 0xaf], `",${MEMBERS}}`)],
    ["a surrogate in UTF-8", raw('{"x":"', [0xed, 0xa0, 0x80], `",${MEMBERS}}`)],
    ["bytes beyond Unicode", raw('{"x":"', [0xf4, 0x90, 0x80, 0x80], `",${MEMBERS}}`)],
    ["a cut-off character", raw(`{${MEMBERS},"x":"`, [0xe2, 0x82], '"}')],
    ["lists that never end", "[".repeat(7_000)],
    ["objects that never end", '{"a":'.repeat(1_500)],
  ];
  const doubles: readonly (readonly [string, string])[] = [
    ...["iss", "aud", "exp", "sub", "iat"].map(
      (name) =>
        [
          `${name}, the same twice`,
          `{${MEMBERS},"${name}":${JSON.stringify(claims()[name])}}`,
        ] as const,
    ),
    ["sub, the good one last", `{"sub":"root",${MEMBERS}}`],
    ["sub, the good one first", `{${MEMBERS},"sub":"root"}`],
    ["sub, once escaped", `{${MEMBERS},"s\\u0075b":"root"}`],
    ["sub, once escaped in capitals", `{${MEMBERS},"\\u0073UB":"x","\\u0073ub":"root"}`],
    ["exp, with a space before the colon", `{${MEMBERS},"exp" :${NOW + 999}}`],
    ["a claim of no meaning", `{${MEMBERS},"x":1,"x":1}`],
    ["__proto__", `{${MEMBERS},"__proto__":1,"__proto__":2}`],
    ["a name with a quote in it", `{${MEMBERS},"a\\"b":1,"a\\u0022b":2}`],
    ["within another claim", `{${MEMBERS},"realm":{"roles":["guest"],"roles":["staff"]}}`],
    ["within a list", `{${MEMBERS},"list":[{"a":1,"b":2,"a":3}]}`],
  ];
  const singles: readonly (readonly [string, string])[] = [
    ["white space that JSON allows", ` \t\r\n{ ${MEMBERS.replaceAll(",", " ,\n")} }\n`],
    ["a name as another's value", `{${MEMBERS},"x":"sub","y":"sub"}`],
    ["a name as a list's member", `{${MEMBERS},"x":["sub","sub"]}`],
    ["a name within another claim", `{${MEMBERS},"x":{"sub":"root"},"y":{"sub":"root"}}`],
    ["names that differ in case", `{${MEMBERS},"Sub":"root","SUB":"root"}`],
    ["names that look alike", `{${MEMBERS},"ѕub":"root"}`],
    ["text that looks like a member", `{${MEMBERS},"x":"\\",\\"sub\\":\\"root"}`],
    ["an escaped name, once", `{${MEMBERS.replace('"sub"', '"s\\u0075b"')}}`],
  ];
  const heads: readonly (readonly [string, Part])[] = [
    ["nothing", ""],
    ["a list", `[${JSON.stringify(HEADER)}]`],
    ["null", "null"],
    ["a string", '"RS256"'],
    ["empty", "{}"],
    ["cut short", `{${HEAD_MEMBERS}`],
    ["a word after it", `{${HEAD_MEMBERS}}x`],
    ["a BOM", raw(BOM, `{${HEAD_MEMBERS}}`)],
    ["UTF-16", Buffer.from(`{${HEAD_MEMBERS}}`, "utf16le")],
    ["an overlong slash", raw(`{${HEAD_MEMBERS},"x":"`, [0xc0, 0xaf], '"}')],
    ["alg twice, the good one last", `{"alg":"none",${HEAD_MEMBERS}}`],
    ["alg twice, the good one first", `{${HEAD_MEMBERS},"alg":"none"}`],
    ["alg twice, once escaped", `{${HEAD_MEMBERS},"\\u0061lg":"RS256"}`],
    ["kid twice", `{${HEAD_MEMBERS},"kid":"rsa"}`],
    ["alg in another case alone", '{"ALG":"RS256","kid":"rsa"}'],
    ["alg from a prototype", '{"__proto__":{"alg":"RS256"},"kid":"rsa"}'],
    ["alg from a constructor", '{"constructor":{"prototype":{"alg":"RS256"}},"kid":"rsa"}'],
    ["lists that never end", "[".repeat(7_000)],
  ];
  fire([
    ...texts.map(([name, text]) => invalid(`payload: ${name}`, () => signed(text))),
    ...doubles.map(([name, text]) =>
      invalid(`payload with a member twice: ${name}`, () => signed(text)),
    ),
    ...singles.map(([name, text]) => holds(`payload: ${name}`, () => signed(text))),
    ...heads.map(([name, text]) => invalid(`header: ${name}`, () => signed(claims(), text))),
    holds("header: white space that JSON allows", () =>
      signed(claims(), ` {\n${HEAD_MEMBERS} }\t`),
    ),
    holds("header: a prototype is data", () =>
      signed(claims(), `{${HEAD_MEMBERS},"__proto__":{"crit":["x"]}}`),
    ),
  ]);
});

describe("prototypes", () => {
  const withRoles = (roles: string) => `{${MEMBERS},${roles}}`;
  const denied = (name: string, text: string): TokenRow => [
    name,
    () => signed(text),
    403,
    "policy_denied",
    "staff",
  ];
  const without = (name: string) => {
    const { [name]: _, ...rest } = claims();
    return JSON.stringify(rest).slice(1, -1);
  };
  const inProto = (name: string) =>
    `{${without(name)},"__proto__":{"${name}":${JSON.stringify(claims()[name])}}}`;
  fire([
    holds("roles that are the token's own", () => signed(withRoles('"roles":["staff"]')), "staff"),
    denied("roles of a prototype", withRoles('"__proto__":{"roles":["staff"]}')),
    denied(
      "roles of a constructor's prototype",
      withRoles('"constructor":{"prototype":{"roles":["staff"]}}'),
    ),
    denied("roles as an object", withRoles('"roles":{"0":"staff","length":1}')),
    denied("roles within a list", withRoles('"roles":[["staff"]]')),
    denied("roles in another case", withRoles('"roles":["STAFF"],"Roles":["staff"]')),
    ...["iss", "aud", "exp", "sub"].map((name) =>
      invalid(`${name} of a prototype`, () => signed(inProto(name))),
    ),
  ]);

  fire([
    invalid("a prototype that would stay", () =>
      signed(`{${without("sub")},"__proto__":{"sub":"root","polluted":true}}`),
    ),
    holds("after it, a token as usual", good),
    invalid("after it, a token without sub", () => signed(`{${without("sub")}}`)),
  ]);

  test("a prototype in one token is nothing to the next", () => {
    const { polluted } = {} as { polluted?: unknown };
    expect(polluted).toBeUndefined();
  });
});

describe("size", () => {
  /** A token of exactly this many characters, with a good signature. */
  const ofLength = (length: number): string => {
    const signature = 342;
    const head = (pad: number) => encode({ ...HEADER, pad: "x".repeat(pad) });
    for (let pad = 0; pad < 4; pad++) {
      const rest = length - signature - 2 - head(pad).length;
      const bytes = Math.floor((rest * 3) / 4);
      const bare = Buffer.byteLength(JSON.stringify(claims({ pad: "" })));
      const payload = encode(claims({ pad: "x".repeat(bytes - bare) }));
      const token = signSegments(head(pad), payload, keys.rsa, "RS256");
      if (token.length === length) return token;
    }
    throw new Error(`Cannot make a token of ${length} characters`);
  };
  fire([
    holds("16 KB less one", () => ofLength(16_383)),
    holds("16 KB", () => ofLength(16_384)),
    invalid("16 KB and one", () => ofLength(16_385)),
    invalid("16 KB and four", () => ofLength(16_388)),
    invalid("24 KB", () => ofLength(24_576)),
  ]);

  test("deep JSON that is well formed is read or refused, and the gate lives on", async () => {
    const depth = 5_000;
    const deep = `{${MEMBERS},"x":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const { status } = await world().send(signed(deep));
    expect([200, 401]).toContain(status);
    expect((await world().send(good())).status).toBe(200);
  });

  test("a token of 60 KB is refused unread", async () => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const lines = [bearer(".".repeat(60_000))];
    expectDenied(gate, await shoot(gate, { target: "/main/x", lines }), 431, "too_large");
    expect(upstream.seen.length).toBe(before);
  });
});

/** Tokens whose algorithm, signature, key or header lies. */
import { describe } from "bun:test";
import { constants, sign } from "node:crypto";
import {
  encode,
  type ForgeKey,
  forge,
  forgeHmac,
  publicForms,
  signatureOf,
  signSegments,
} from "./forge.ts";
import {
  claims,
  holds,
  invalid,
  keys,
  OCT_SECRET,
  otherClaims,
  signed,
  type TokenRow,
  useTokenGate,
} from "./token-gate.ts";

const { fire } = useTokenGate();

const header = (alg: unknown, kid: unknown = "rsa", more: object = {}) => ({ alg, kid, ...more });
const by = (alg: string, kid: string, key: ForgeKey, realAlg = alg) =>
  forge(header(alg, kid), claims(), key, realAlg);

describe("what must hold", () => {
  const good: TokenRow[] = [
    ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map((alg) =>
      holds(`${alg}, by a key that names no algorithm`, () => by(alg, "rsa", keys.rsa)),
    ),
    holds("PS256, by a key that names it", () => by("PS256", "ps256", keys.ps256)),
    holds("ES256", () => by("ES256", "p256", keys.p256)),
    holds("ES384", () => by("ES384", "p384", keys.p384)),
    holds("ES512", () => by("ES512", "p521", keys.p521)),
    holds("EdDSA", () => by("EdDSA", "ed", keys.ed)),
    holds("Ed25519, which is the same", () => by("Ed25519", "ed", keys.ed, "EdDSA")),
    holds("no kid, where one key alone fits the algorithm", () =>
      forge({ alg: "ES384" }, claims(), keys.p384, "ES384"),
    ),
    holds("no kid, by a key from a PEM file", () => byPem({ alg: "RS256" }), "pem"),
    holds("any kid, by a key from a PEM file", () => byPem(header("RS256", "whatever")), "pem"),
    holds(
      "another issuer of the route, with the same kid",
      () => forge(header("RS256"), otherClaims(), keys.other, "RS256"),
      "both",
    ),
    holds("header names that mean nothing", () =>
      signed(claims(), header("RS256", "rsa", { x5t: "abc", nonsense: [1], cty: "x" })),
    ),
  ];
  fire(good);
});

function byPem(head: object): string {
  return forge(head, claims({ iss: "https://pem.test" }), keys.pem, "RS256");
}

const NONE = ["none", "None", "NONE", "nOnE", "none ", " none", "non\u0065\u0000", "", null];

describe("no algorithm at all", () => {
  const naked = (head: object) => `${encode(head)}.${encode(claims())}.`;
  fire([
    ...NONE.map((alg) =>
      invalid(`alg ${JSON.stringify(alg)}, no signature`, () => naked(header(alg))),
    ),
    ...NONE.map((alg) =>
      invalid(`alg ${JSON.stringify(alg)}, with a good signature`, () =>
        signed(claims(), header(alg)),
      ),
    ),
    invalid("no alg, no signature", () => naked({ kid: "rsa" })),
    invalid("no alg, with a good signature", () => signed(claims(), { kid: "rsa" })),
    invalid("none without the last dot", () => naked(header("none")).slice(0, -1)),
    invalid("RS256 with its signature taken away", () => naked(header("RS256"))),
    invalid("none, to the issuer of a PEM file", () => naked(header("none")), "pem"),
  ]);
});

const HMACS = ["HS256", "HS384", "HS512"];
const PUBLISHED: readonly (readonly [kid: string, key: ForgeKey])[] = [
  ["rsa", keys.rsa],
  ["ps256", keys.ps256],
  ["p256", keys.p256],
  ["p384", keys.p384],
  ["p521", keys.p521],
  ["ed", keys.ed],
];

describe("a public key as an HMAC secret", () => {
  const forms = ["PEM", "PEM trimmed", "JWK", "n or x as text", "DER", "n or x", "nothing"];
  const rows = HMACS.flatMap((alg) => [
    ...PUBLISHED.flatMap(([kid, key]) =>
      publicForms(key).map((secret, index) =>
        invalid(`${alg} with the ${forms[index]} of ${kid}`, () =>
          forgeHmac({ kid }, claims(), alg, secret),
        ),
      ),
    ),
    ...publicForms(keys.pem).map((secret, index) =>
      invalid(
        `${alg} with the ${forms[index]} of the PEM file`,
        () => forgeHmac({}, claims({ iss: "https://pem.test" }), alg, secret),
        "pem",
      ),
    ),
    invalid(`${alg} with the secret that was published`, () =>
      forgeHmac({ kid: "oct" }, claims(), alg, OCT_SECRET),
    ),
    invalid(`${alg} without a kid, with the secret that was published`, () =>
      forgeHmac({}, claims(), alg, OCT_SECRET),
    ),
  ]);
  fire(rows);
});

/** Order of each curve's base point (SEC 2). */
const ORDERS = {
  ES256: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  ES384:
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  ES512:
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
} as const;

const CURVES = [
  ["ES256", "p256", keys.p256],
  ["ES384", "p384", keys.p384],
  ["ES512", "p521", keys.p521],
] as const;

describe("signatures that are none", () => {
  const rows = CURVES.flatMap(([alg, kid, key]) => {
    const input = `${encode(header(alg, kid))}.${encode(claims())}`;
    const n = Buffer.from(ORDERS[alg], "hex");
    const zero = Buffer.alloc(n.length);
    const one = Buffer.concat([Buffer.alloc(n.length - 1), Buffer.from([1])]);
    const good = signatureOf(alg, key, input);
    const r = good.subarray(0, n.length);
    const s = good.subarray(n.length);
    const cases: readonly (readonly [string, Buffer[]])[] = [
      ["r and s are zero", [zero, zero]],
      ["r is zero", [zero, s]],
      ["s is zero", [r, zero]],
      ["r is the order", [n, s]],
      ["s is the order", [r, n]],
      ["r and s are the order", [n, n]],
      ["r and s are one", [one, one]],
      ["r and s are all ones", [Buffer.alloc(n.length, 255), Buffer.alloc(n.length, 255)]],
      ["r and s swapped", [s, r]],
      ["in DER", [derOf(r, s)]],
      ["r alone", [r]],
      ["one byte short", [good.subarray(0, -1)]],
      ["one byte long", [good, Buffer.from([0])]],
      ["padded to twice", [zero, r, zero, s]],
      ["empty", []],
    ];
    return cases.map(([name, parts]) =>
      invalid(`${alg}: ${name}`, () => `${input}.${Buffer.concat(parts).toString("base64url")}`),
    );
  });
  const rsaInput = `${encode(header("RS256"))}.${encode(claims())}`;
  const edInput = `${encode(header("EdDSA", "ed"))}.${encode(claims())}`;
  const rsa = () => signatureOf("RS256", keys.rsa, rsaInput);
  const ed = () => signatureOf("EdDSA", keys.ed, edInput);
  const others: readonly (readonly [string, string, () => Buffer])[] = [
    ["RS256: zeros", rsaInput, () => Buffer.alloc(256)],
    ["RS256: one", rsaInput, () => Buffer.concat([Buffer.alloc(255), Buffer.from([1])])],
    ["RS256: all ones", rsaInput, () => Buffer.alloc(256, 255)],
    ["RS256: one byte short", rsaInput, () => rsa().subarray(0, -1)],
    ["RS256: a zero before", rsaInput, () => Buffer.concat([Buffer.from([0]), rsa()])],
    ["RS256: one bit flipped", rsaInput, () => flipped(rsa())],
    ["EdDSA: zeros", edInput, () => Buffer.alloc(64)],
    [
      "EdDSA: a point of small order",
      edInput,
      () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]),
    ],
    ["EdDSA: S plus the group's order", edInput, () => plusOrder(ed())],
    ["EdDSA: one bit flipped", edInput, () => flipped(ed())],
  ];
  fire([
    ...rows,
    ...others.map(([name, input, signature]) =>
      invalid(name, () => `${input}.${signature().toString("base64url")}`),
    ),
    invalid("RS256: of another header", () => {
      const [, payload, signature] = signed(claims()).split(".");
      return `${encode(header("RS256", "rsa", { typ: "JWT" }))}.${payload}.${signature}`;
    }),
    invalid("RS256: of another payload", () => {
      const [head, , signature] = signed(claims()).split(".");
      return `${head}.${encode(claims({ sub: "root" }))}.${signature}`;
    }),
  ]);
});

function derOf(r: Buffer, s: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    let value = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
    if ((value[0] ?? 0) > 127) value = Buffer.concat([Buffer.from([0]), value]);
    return Buffer.concat([Buffer.from([2, value.length]), value]);
  };
  const body = Buffer.concat([integer(r), integer(s)]);
  const length = body.length > 127 ? [0x81, body.length] : [body.length];
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[10] = (copy[10] ?? 0) ^ 1;
  return copy;
}

/** RFC 8032 §5.1.7 has S below the order, else one message had two signatures. */
function plusOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
  const bytes = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), bytes]);
}

describe("an algorithm that is not the key's", () => {
  const unfit: readonly (readonly [string, () => string])[] = [
    ["RS256 by a key for PS256", () => by("RS256", "ps256", keys.ps256)],
    ["PS384 by a key for PS256", () => by("PS384", "ps256", keys.ps256)],
    ["says RS256, is PS256", () => by("RS256", "rsa", keys.rsa, "PS256")],
    ["says RS512, is RS256", () => by("RS512", "rsa", keys.rsa, "RS256")],
    ["ES256 under an RSA key's kid", () => by("ES256", "rsa", keys.p256)],
    ["RS256 under an EC key's kid", () => by("RS256", "p256", keys.rsa)],
    ["ES384 on P-256", () => by("ES384", "p256", keys.p256)],
    ["ES256 on P-384", () => by("ES256", "p384", keys.p384)],
    ["ES512 on P-384", () => by("ES512", "p384", keys.p384)],
    ["EdDSA under an EC key's kid", () => by("EdDSA", "p256", keys.ed)],
    ["Ed448", () => by("Ed448", "ed", keys.ed, "EdDSA")],
    ["two keys of one kid and algorithm", () => by("ES256", "twin", keys.twinA)],
    ["no kid, where two keys fit", () => forge({ alg: "PS256" }, claims(), keys.rsa, "PS256")],
    ["RSA of 1024 bits", () => by("RS256", "weak", keys.weak)],
    ["a key for encryption", () => by("ES256", "enc", keys.enc)],
    ["a key without verify in key_ops", () => by("ES256", "ops", keys.ops)],
    ["a key published with its private part", () => by("ES256", "private", keys.private)],
    ["a key off its curve", () => by("ES256", "curve", keys.curve)],
    ["a key of another issuer, under the same kid", () => by("RS256", "rsa", keys.other)],
    ["a key that nobody published", () => by("RS256", "rsa", keys.evil)],
  ];
  const odd = ["rs256", "RS256 ", "RS255", "RS1", "ES256K", "dir", "A128KW", "RSA-OAEP-256"];
  const types = [
    ["RS256"],
    { toString: "RS256" },
    256,
    true,
    "__proto__",
    "constructor",
    "toString",
  ];
  fire([
    ...unfit.map(([name, build]) => invalid(name, build)),
    ...[...odd, ...types].map((alg) =>
      invalid(`alg ${JSON.stringify(alg)}`, () => signed(claims(), header(alg))),
    ),
    invalid(
      "an algorithm that the issuer does not allow",
      () =>
        forge(
          header("RS256", "rsa", { typ: "at+jwt" }),
          claims({ iss: "https://typed.test", jti: "1", client_id: "c" }),
          keys.rsa,
          "RS256",
        ),
      "typed",
    ),
    invalid("an issuer that the route does not name", () =>
      forge(header("RS256"), otherClaims(), keys.other, "RS256"),
    ),
    invalid("one issuer's name with another's key", () => by("RS256", "rsa", keys.other), "both"),
    invalid("the other way round", () => signed(otherClaims()), "both"),
    invalid("a salt that is too long for PS256", () => saltless()),
  ]);
});

/** RFC 7518 §3.5: the salt is as long as the hash. */
function saltless(): string {
  const input = `${encode(header("PS256"))}.${encode(claims())}`;
  const { privateKey: key } = keys.rsa;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const bytes = sign("sha256", Buffer.from(input), { key, padding, saltLength: 64 });
  return `${input}.${bytes.toString("base64url")}`;
}

describe("keys in the header", () => {
  const ours = (more: object) => signed(claims(), header("RS256", "rsa", more));
  const theirs = (more: object) => forge({ alg: "RS256", ...more }, claims(), keys.evil, "RS256");
  const certificate = Buffer.from(keys.evil.publicKey.export({ format: "der", type: "spki" }));
  const x5c = [certificate.toString("base64")];
  const present: readonly (readonly [string, object])[] = [
    ["jwk", { jwk: keys.rsa.jwk }],
    ["jwk: null", { jwk: null }],
    ["x5c", { x5c }],
    ["x5c, empty", { x5c: [] }],
    ["crit: [exp]", { crit: ["exp"], exp: 1 }],
    ["crit: [x]", { crit: ["x"], x: true }],
    ["crit: []", { crit: [] }],
    ["crit: null", { crit: null }],
    ["crit: [b64], b64: true", { crit: ["b64"], b64: true }],
    ["b64: false", { b64: false }],
    ["b64: true", { b64: true }],
    ["b64: null", { b64: null }],
    ["zip", { zip: "DEF" }],
    ["zip: null", { zip: null }],
  ];
  fire([
    ...present.map(([name, more]) => invalid(`${name}, signed by the real key`, () => ours(more))),
    invalid("jku, signed by the real key", ({ canary }) => ours({ jku: `${canary.url}/jwks` })),
    invalid("x5u, signed by the real key", ({ canary }) => ours({ x5u: `${canary.url}/cert` })),
    invalid("jku: null", () => ours({ jku: null })),
    invalid("x5u: null", () => ours({ x5u: null })),
    invalid("jwk that verifies it", () => theirs({ jwk: keys.evil.jwk })),
    invalid("jwk under a real kid", () => theirs({ jwk: keys.evil.jwk, kid: "rsa" })),
    invalid("x5c that verifies it", () => theirs({ x5c })),
    invalid("jku that would verify it", ({ canary }) => theirs({ jku: canary.url, kid: "evil" })),
    invalid("x5u that would verify it", ({ canary }) => theirs({ x5u: canary.url, kid: "evil" })),
    invalid("iss that points to keys of its own", ({ canary }) =>
      forge({ alg: "RS256" }, claims({ iss: canary.url }), keys.evil, "RS256"),
    ),
    invalid("crit with b64, and a payload as it is", () =>
      signSegments(
        encode(header("RS256", "rsa", { b64: false, crit: ["b64"] })),
        JSON.stringify(claims()).replaceAll(".", ""),
        keys.rsa,
        "RS256",
      ),
    ),
  ]);
});

const KIDS: readonly (readonly [name: string, kid: unknown])[] = [
  ["a path", "../../dev/null"],
  ["an absolute path", "/etc/passwd"],
  ["SQL", "' UNION SELECT 'x'--"],
  ["shell", "rsa; touch /tmp/x"],
  ["__proto__", "__proto__"],
  ["constructor", "constructor"],
  ["toString", "toString"],
  ["hasOwnProperty", "hasOwnProperty"],
  ["empty", ""],
  ["NUL", "rsa\u0000"],
  ["line ends", "rsa\r\nX-User: root"],
  ["another case", "RSA"],
  ["white space", " rsa"],
  ["full-width letters", "ｒｓａ"],
  ["10 KB", "k".repeat(10_000)],
  ["an index", "0"],
  ["a number", 0],
  ["null", null],
  ["true", true],
  ["a list of the real one", ["rsa"]],
  ["an object", { toString: "rsa" }],
];

describe("a kid that selects nothing", () => {
  fire([
    ...KIDS.map(([name, kid]) => invalid(name, () => signed(claims(), header("RS256", kid)))),
    invalid("an address", ({ canary }) => signed(claims(), header("RS256", `${canary.url}/key`))),
  ]);
});

describe("types", () => {
  const typed = (typ: unknown, more: object = {}) =>
    forge(
      header("ES256", "p256", typ === undefined ? {} : { typ }),
      claims({ iss: "https://typed.test", jti: "1", client_id: "c", ...more }),
      keys.p256,
      "ES256",
    );
  const plain = (typ: unknown) => signed(claims(), header("RS256", "rsa", { typ }));
  const held = ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "APPLICATION/JWT"];
  const refused = [
    "id+jwt",
    "logout+jwt",
    "dpop+jwt",
    "JOSE",
    "JWE",
    "",
    "application/",
    "application/application/jwt",
    "text/jwt",
    " jwt",
    "jwt ",
    "jwt\u0000",
    null,
    0,
    true,
    [],
    ["JWT"],
    {},
  ];
  fire([
    ...held.map((typ) => holds(`${typ}, where none are written`, () => plain(typ))),
    ...refused.map((typ) =>
      invalid(`${JSON.stringify(typ)}, where none are written`, () => plain(typ)),
    ),
    holds("at+jwt, where it is written", () => typed("at+jwt"), "typed"),
    holds("application/AT+JWT, where it is written", () => typed("application/AT+JWT"), "typed"),
    ...["JWT", "", null, undefined, ["at+jwt"], "at+jwt+x"].map((typ) =>
      invalid(`${JSON.stringify(typ)}, where only at+jwt is written`, () => typed(typ), "typed"),
    ),
  ]);
});

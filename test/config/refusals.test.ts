import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { placesOf, type Surroundings } from "./load-text.ts";

const ROUTES = "routes: [{ upstream: echo, public: true }]\n";
const TLS = "tls: { cert: c.pem, key: k.pem }\n";
const PEMS = { "c.pem": "c", "k.pem": "k" };

/** The keys below `top` on line 1; the one route is nobody's business. */
const top = (line: string, around?: Surroundings) => placesOf(`${line}\n${ROUTES}`, around);

/** One issuer's keys, from line 2 column 5. */
const issuer = (keys: string, around?: Surroundings) =>
  placesOf(`issuers:\n  - ${keys.replaceAll("\n", "\n    ")}\n${ROUTES}`, around);

const OKTA = "name: okta\nissuer: https://acme.okta.com\naudiences: [a]\n";

/** One route's keys, from line 2 column 5; issuers a and b (both with iss https://a.dev), and c. */
const route = (keys: string) =>
  placesOf(`routes:
  - ${keys.replaceAll("\n", "\n    ")}
issuers:
  - { name: a, issuer: https://a.dev, audiences: [x] }
  - { name: b, issuer: https://a.dev, audiences: [y] }
  - { name: c, issuer: https://c.dev, audiences: [x] }
`);

const GUARDED = "upstream: echo\nissuers: [a]\nanyAuthenticated: true\n";

describe("listen", () => {
  test.each([
    ["listen: 0.0.0.0:80", "1:9 listen_plain"],
    ['listen: "[::]:80"', "1:9 listen_plain"],
    ["listen: 80", "1:9 listen_plain"],
    ['listen: [127.0.0.1:80, ":80"]', "1:24 listen_plain"],
    ["listen: gate.acme.dev:80", "1:9 listen_invalid"],
    ["listen: 127.0.0.1", "1:9 listen_invalid"],
    ["listen: 127.0.0.1:65536", "1:9 listen_invalid"],
    ["listen: 127.0.0.1:080", "1:9 listen_invalid"],
    ["listen: 127.1:80", "1:9 listen_invalid"],
    ['listen: "::1:80"', "1:9 listen_invalid"],
    ["listen: -1", "1:9 listen_invalid"],
    ['listen: "unix:"', "1:9 listen_invalid"],
    [`listen: unix:/${"x".repeat(120)}`, "1:9 listen_invalid"],
    ["listen: []", "1:9 list_empty"],
    ["listen: [127.0.0.1:80, 127.0.0.1:80]", "1:24 listen_duplicate"],
    ["listen: ['unix:a', 'unix:./a']", "1:20 listen_duplicate"],
    ["listen: 1.5", "1:9 type_wrong"],
    ["listen: true", "1:9 type_wrong"],
  ])("%s: %s", async (line, place) => {
    expect(await top(line)).toEqual([place]);
  });

  test.each([
    "allowPlainHttp: true",
    "trustedProxies: [10.0.0.0/8]",
    "tls: { cert: c.pem, key: k.pem }",
  ])("beyond loopback is fine with %s", async (line) => {
    expect(await top(`listen: 0.0.0.0:80\n${line}`, { files: PEMS })).toEqual([]);
  });

  test.each([
    "unix:gate.sock",
    "127.9.9.9:80",
    "localhost:80",
    '"[::1]:80"',
    "[127.0.0.1:0, 127.0.0.1:0]",
  ])("plain HTTP is fine on %s", async (address) => {
    expect(await top(`listen: ${address}`)).toEqual([]);
  });
});

describe("top level", () => {
  test.each([
    ["trustedProxies: [10.0.0.1/8]", "1:18 range_invalid"],
    ["trustedProxies: [everyone]", "1:18 range_invalid"],
    ["publicUrl: http://gate.acme.dev", "1:12 url_plain"],
    ["publicUrl: https://gate.acme.dev/x", "1:12 url_invalid"],
    ["publicUrl: gate.acme.dev", "1:12 url_invalid"],
    ["policyTimeout: 0s", "1:16 value_out_of_range"],
    ["policyTimeout: 10001ms", "1:16 value_out_of_range"],
    ["policyTimeout: 1", "1:16 type_wrong"],
    ["http: { idleTimeout: 256s }", "1:22 value_out_of_range"],
    ["http: { maxBodySize: 1TB }", "1:22 value_invalid"],
    ["policies: c.pem", "1:11 folder_invalid"],
    ["geo: nowhere.mmdb", "1:6 file_missing"],
    ["geo: .", "1:6 file_missing"],
    ["log: { level: loud }", "1:15 type_wrong"],
    ["workers: 0", "1:10 value_out_of_range"],
    ["workers: 65", "1:10 value_out_of_range"],
    ["workers: many", "1:10 type_wrong"],
    ["workers: 2\nlisten: unix:/run/gate.sock", "1:10 workers_alone"],
    ["tls: { cert: c.pem }", "1:6 key_missing"],
    ["tls: { cert: c.pem, key: x.pem }", "1:26 file_missing"],
    ["tls: { cert: c.pem, key: k.pem, clientAuth: required }", "1:45 key_missing"],
    ["tls: { cert: c.pem, key: k.pem, clientAuth: request }", "1:45 type_wrong"],
  ])("%s: %s", async (line, place) => {
    expect(await top(line, { files: PEMS })).toEqual([place]);
  });

  test("publicUrl may be plain on loopback", async () => {
    expect(await top("publicUrl: http://localhost:8080")).toEqual([]);
  });
});

describe("issuers", () => {
  test.each([
    [`${OKTA}issuer_: x`, "5:5 key_unknown"],
    ["name: a b\nissuer: https://a.dev\naudiences: [a]", "2:11 name_invalid"],
    ["name: ../x\nissuer: https://a.dev\naudiences: [a]", "2:11 name_invalid"],
    ["issuer: https://a.dev\naudiences: [a]", "2:5 key_missing"],
    ["name: a\naudiences: [a]", "2:5 key_missing"],
    ["name: a\nissuer: https://a.dev", "2:5 key_missing"],
    ["name: a\nissuer: https://a.dev\naudiences: []", "4:16 list_empty"],
    ['name: a\nissuer: https://a.dev\naudiences: [""]', "4:17 value_invalid"],
    ["name: a\nissuer: https://a.dev\naudiences: a", "4:16 type_wrong"],
    ["name: a\naudiences: [a]\nissuer: http://a.dev", "4:13 url_plain"],
    ["name: a\naudiences: [a]\nissuer: http://a.dev\njwks: j.json", "4:13 url_plain"],
    ["name: a\naudiences: [a]\nissuer: a.dev", "4:13 url_invalid"],
    ['name: a\naudiences: [a]\nissuer: "https://a.dev#x"', "4:13 url_invalid"],
    ["name: a\naudiences: [a]\nissuer: https://a.dev?x=1", "4:13 url_invalid"],
    ["name: a\naudiences: [a]\nissuer: https://u:p@a.dev", "4:13 url_invalid"],
    ['name: a\naudiences: [a]\nissuer: "https://a.dev "', "4:13 value_invalid"],
    [`${OKTA}jwksUri: http://a.dev/k`, "5:14 url_plain"],
    [`${OKTA}jwksUri: file:keys.json`, "5:14 url_invalid"],
    [`${OKTA}jwks: no.json`, "5:11 file_missing"],
    [`${OKTA}publicKey: no.pem`, "5:16 file_missing"],
    [`${OKTA}jwks: j.json\npublicKey: j.json`, "6:5 keys_ambiguous"],
    [`${OKTA}publicKey: j.json\njwksUri: https://a.dev/k`, "6:5 keys_ambiguous"],
    ["name: a\ndevelopment: true\njwks: j.json", "4:5 keys_ambiguous"],
    [`${OKTA}algorithms: []`, "5:17 list_empty"],
    [`${OKTA}algorithms: [HS256]`, "5:18 algorithm_refused"],
    [`${OKTA}algorithms: [none]`, "5:18 algorithm_refused"],
    [`${OKTA}algorithms: [ES256, RS265]`, "5:25 algorithm_refused"],
    [`${OKTA}tokenTypes: []`, "5:17 list_empty"],
    [`${OKTA}tokenTypes: ["a b"]`, "5:18 value_invalid"],
    [`${OKTA}clockTolerance: 301s`, "5:21 value_out_of_range"],
    [`${OKTA}maxLifetime: 0s`, "5:18 value_out_of_range"],
    [`${OKTA}keys: { refresh: 0s }`, "5:22 value_out_of_range"],
    [`${OKTA}claims: { roles: "" }`, "5:22 value_invalid"],
    [`${OKTA}claims: { roles: [a] }`, "5:22 type_wrong"],
    [`${OKTA}decryptionKey: file:no.pem`, "5:20 file_missing"],
    [`${OKTA}decryptionKey: file:empty`, "5:20 secret_empty"],
    [`${OKTA}decryptionKey: ""`, "5:20 secret_empty"],
    [`${OKTA}decryptionKey: \${EMPTY}`, "5:20 secret_empty"],
    [`${OKTA}decryptionKey: \${ABSENT:-}`, "5:20 secret_empty"],
    [`${OKTA}decryptionKey: \${ABSENT}`, "5:20 environment_unset"],
    [`${OKTA}decryptionKey: file:j.json`, "5:20 secret_invalid"],
    [`${OKTA}decryptionKey: hello`, "5:20 secret_invalid"],
  ])("%j: %s", async (keys, place) => {
    const files = { "j.json": "{}", empty: "\n" };
    expect(await issuer(keys, { files, environment: { EMPTY: "" } })).toEqual([place]);
  });

  test.each([
    "name: a\naudiences: [a]\nissuer: http://localhost:9000/x",
    "name: a\naudiences: [a]\nissuer: urn:a\njwks: j.json",
    `${OKTA}jwksUri: http://127.0.0.1:9000/keys?p=1`,
  ])("%j holds", async (keys) => {
    expect(await issuer(keys, { files: { "j.json": "{}" } })).toEqual([]);
  });

  const privateKeyOf = (kind: "rsa" | "ec" | "x25519" | "ed25519", bits = 2048) => {
    const pem = { privateKeyEncoding: { type: "pkcs8", format: "pem" } } as const;
    const spki = { publicKeyEncoding: { type: "spki", format: "pem" } } as const;
    if (kind === "rsa") return generateKeyPairSync("rsa", { modulusLength: bits, ...pem, ...spki });
    if (kind === "ec") return generateKeyPairSync("ec", { namedCurve: "P-256", ...pem, ...spki });
    return kind === "x25519"
      ? generateKeyPairSync("x25519", { ...pem, ...spki })
      : generateKeyPairSync("ed25519", { ...pem, ...spki });
  };

  test.each([
    ["an RSA key", privateKeyOf("rsa").privateKey, []],
    ["an EC key", privateKeyOf("ec").privateKey, []],
    ["an X25519 key", privateKeyOf("x25519").privateKey, []],
    ["a short RSA key", privateKeyOf("rsa", 1024).privateKey, ["5:20 secret_invalid"]],
    ["a signing key", privateKeyOf("ed25519").privateKey, ["5:20 secret_invalid"]],
    ["a public key", privateKeyOf("ec").publicKey, ["5:20 secret_invalid"]],
    ["a symmetric key", '{"kty":"oct","k":"AAAA"}', ["5:20 secret_invalid"]],
  ])("decrypting with %s", async (_, key, places) => {
    expect(await issuer(`${OKTA}decryptionKey: file:key`, { files: { key } })).toEqual(places);
  });

  test("names differ, whatever their case", async () => {
    const two =
      "issuers:\n  - { name: a, development: true }\n  - { name: A, development: true }\n";
    expect(await placesOf(two + ROUTES)).toEqual(["3:13 name_duplicate"]);
  });

  test("a development issuer never meets a listen address beyond loopback", async () => {
    const text = `listen: 0.0.0.0:80\n${TLS}issuers: [{ name: dev, development: true }]\n${ROUTES}`;
    expect(await placesOf(text, { files: PEMS })).toEqual(["3:24 development_exposed"]);
  });
});

describe("routes", () => {
  test.each([
    [`${GUARDED}path: /x`, "5:5 key_unknown"],
    ["issuers: [a]\nanyAuthenticated: true", "2:5 key_missing"],
    ["upstream: echo\nissuers: [a]", "2:5 route_unguarded"],
    ["upstream: echo\nissuers: [a]\nanyAuthenticated: false", "2:5 route_unguarded"],
    ["upstream: echo\nissuers: [a]\npolicies: [{ shadow: x }]", "4:15 route_unguarded"],
    ["upstream: echo\nissuers: [a]\npolicies: []", "4:15 list_empty"],
    ["upstream: echo\npublic: true\npolicies: [x]", "4:5 route_public_guarded"],
    ["upstream: echo\npublic: true\npolicies: []", "4:5 route_public_guarded"],
    ["upstream: echo\npublic: true\nanyAuthenticated: true", "4:5 route_public_guarded"],
    ["upstream: echo\nanyAuthenticated: true", "2:5 issuer_missing"],
    ["upstream: echo\nanyAuthenticated: true\nissuers: []", "4:14 list_empty"],
    ["upstream: echo\nanyAuthenticated: true\nissuers: [d]", "4:15 issuer_unknown"],
    ["upstream: echo\nanyAuthenticated: true\nissuers: [a, a]", "4:18 name_duplicate"],
    ["upstream: echo\nanyAuthenticated: true\nissuers: [c, a, b]", "4:21 issuer_ambiguous"],
    [`${GUARDED}name: ""`, "5:11 name_invalid"],
    [`${GUARDED}match: { host: "*" }`, "5:20 host_invalid"],
    [`${GUARDED}match: { host: "a.*.dev" }`, "5:20 host_invalid"],
    [`${GUARDED}match: { host: "*a.dev" }`, "5:20 host_invalid"],
    [`${GUARDED}match: { host: "*.*.dev" }`, "5:20 host_invalid"],
    [`${GUARDED}match: { host: "a/b" }`, "5:20 host_invalid"],
    [`${GUARDED}match: { methods: [] }`, "5:23 list_empty"],
    [`${GUARDED}match: { methods: [TRACE] }`, "5:24 method_invalid"],
    [`${GUARDED}match: { methods: ["GET POST"] }`, "5:24 method_invalid"],
    [`${GUARDED}match: { path: /a/* }\nstripPrefix: /b`, "6:18 prefix_mismatch"],
    [`${GUARDED}match: { path: /ab/* }\nstripPrefix: /a`, "6:18 prefix_mismatch"],
    [`${GUARDED}match: { path: /a/* }\nstripPrefix: /a/`, "6:18 path_invalid"],
    [`${GUARDED}addPrefix: a`, "5:16 path_invalid"],
    [`${GUARDED}match: { path: /a/* }\nstripPrefix: /a\naddPrefix: /b`, "7:5 keys_exclusive"],
    [`${GUARDED}timeout: 0s`, "5:14 value_out_of_range"],
    [`${GUARDED}timeout: 61m`, "5:14 value_out_of_range"],
    [`${GUARDED}ambiguousPaths: yes`, "5:21 type_wrong"],
    [`${GUARDED}credentials: []`, "5:18 list_empty"],
    [`${GUARDED}credentials: [body]`, "5:19 value_invalid"],
    [`${GUARDED}credentials: [{}]`, "5:19 value_invalid"],
    [`${GUARDED}credentials: [{ header: X-A, query: b }]`, "5:19 value_invalid"],
    [`${GUARDED}credentials: [{ heder: X-A }]`, "5:21 key_unknown"],
    [`${GUARDED}credentials: [header, header]`, "5:27 credential_duplicate"],
    [`${GUARDED}credentials: [{ header: X-A }, { header: x_a }]`, "5:36 credential_duplicate"],
    [`${GUARDED}credentials: [{ header: Authorization }]`, "5:19 header_forbidden"],
    [`${GUARDED}credentials: [{ header: Cookie }]`, "5:19 credential_name_invalid"],
    [`${GUARDED}credentials: [{ header: Connection }]`, "5:19 credential_name_invalid"],
    [`${GUARDED}credentials: [{ cookie: __Host-claimgate }]`, "5:19 credential_name_invalid"],
    [`${GUARDED}credentials: [{ cookie: "a;b" }]`, "5:19 credential_name_invalid"],
    [`${GUARDED}credentials: [{ query: "" }]`, "5:19 credential_name_invalid"],
  ])("%j: %s", async (keys, place) => {
    expect(await route(keys)).toEqual([place]);
  });

  test.each([
    "a",
    '""',
    "/a?b",
    '"/a#b"',
    "/a*",
    "/*/a",
    "/a/*/b",
    "/a/**",
    "/a/../b",
    "/a/.",
    "/a//b",
    "//",
    "/a//*",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%2541",
    "/a%00",
    "/a%zz",
    "/a%ff",
    "/%61",
    "/a;b",
    '"/a b"',
    "/é",
    "/.claimgate/health",
    "/.claimgate/*",
  ])("match.path %s is refused", async (path) => {
    expect(await route(`${GUARDED}match: { path: ${path} }`)).toEqual(["5:20 path_invalid"]);
  });

  test.each(["a", "/", "/a/", "/a*", "/*", "/a?b", "/a/../b", "/a//b", "/%61", '""'])(
    "addPrefix %s is refused",
    async (prefix) => {
      expect(await route(`${GUARDED}addPrefix: ${prefix}`)).toEqual(["5:16 path_invalid"]);
    },
  );

  test("an upstream is listed once", async () => {
    const keys =
      "upstream: [http://localhost:1, http://LOCALHOST:1/]\nissuers: [a]\nanyAuthenticated: true";
    expect(await route(keys)).toEqual(["2:36 upstream_duplicate"]);
  });

  test.each(["/", "/*", "/a", "/a/", "/a/*", "/a.b~c/d-e_f", "/%C3%A9/*", "/.well-known/x"])(
    "match.path %s holds",
    async (path) => {
      expect(await route(`${GUARDED}match: { path: ${path} }`)).toEqual([]);
    },
  );

  test.each([
    ["http://127.0.0.1:9000/api", "url_invalid"],
    ["http://127.0.0.1:9000/?a", "url_invalid"],
    ["http://127.0.0.1:9000?", "url_invalid"],
    ["http://u:p@127.0.0.1", "url_invalid"],
    ["ftp://127.0.0.1", "url_invalid"],
    ["127.0.0.1:9000", "url_invalid"],
    ["http:/127.0.0.1", "url_invalid"],
    ["http://127.0.0.1:99999", "url_invalid"],
    ["http://10.0.0.7:9000", "upstream_plain"],
    ['"unix:"', "upstream_invalid"],
    ["[]", "list_empty"],
    ["Echo", "url_invalid"],
  ])("upstream %s: %s", async (upstream, code) => {
    const rest = "issuers: [a]\nanyAuthenticated: true\n";
    expect(await route(`upstream: ${upstream}\n${rest}`)).toEqual([`2:15 ${code}`]);
  });

  test("an upstream beyond this machine may be plain where allowPlainHttp says so", async () => {
    const text = "allowPlainHttp: true\nroutes: [{ upstream: http://app:3000, public: true }]\n";
    expect(await placesOf(text)).toEqual([]);
  });

  test.each([
    ["identityHeaders: { X-User: sub, x_user: email }", "5:37 header_duplicate"],
    ['identityHeaders: { "X User": sub }', "5:24 header_name_invalid"],
    ['identityHeaders: { X-User: "" }', "5:32 value_invalid"],
    ["identityHeaders: { Host: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { Content-Length: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { content_length: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { Connection: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { X-User: sub, X.User: email }", "5:37 header_duplicate"],
    ["identityHeaders: { Content.Length: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { Authorization: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { Cookie: sub }", "5:24 header_forbidden"],
    ["identityHeaders: { X-Forwarded-For: sub }", "5:24 header_forbidden"],
    ["requestHeaders: { set: { Host: a } }", "5:30 header_forbidden"],
    ["requestHeaders: { set: { Cookie: a } }", "5:30 header_forbidden"],
    ["requestHeaders: { set: { TE: a } }", "5:30 header_forbidden"],
    ["requestHeaders: { remove: [Content-Length] }", "5:32 header_forbidden"],
    ['requestHeaders: { set: { X-A: "a\\r\\nX-B: c" } }', "5:35 header_value_invalid"],
    ['requestHeaders: { set: { X-A: "\\0" } }', "5:35 header_value_invalid"],
    ['requestHeaders: { set: { X-A: " a" } }', "5:35 header_value_invalid"],
    ["requestHeaders: { set: { X-A: é } }", "5:35 header_value_invalid"],
    ["requestHeaders: { set: { X-A: a, x-a: b } }", "5:38 header_duplicate"],
    ["requestHeaders: { set: { X-A: a }, remove: [x_a] }", "5:49 header_conflict"],
    ["responseHeaders: { set: { Transfer-Encoding: a } }", "5:31 header_forbidden"],
    ["responseHeaders: { remove: [X-Request-Id] }", "5:33 header_forbidden"],
    ["forwardToken: true\nrequestHeaders: { set: { Authorization: a } }", "6:30 header_forbidden"],
    ["identityHeaders: { X-U: sub }\nrequestHeaders: { set: { x_u: a } }", "6:30 header_conflict"],
    ["identityHeaders: { X-U: sub }\nrequestHeaders: { remove: [X-U] }", "6:32 header_conflict"],
  ])("%j: %s", async (keys, place) => {
    expect(await route(GUARDED + keys)).toEqual([place]);
  });

  test("a fixed Authorization for the upstream holds", async () => {
    const keys = "requestHeaders: { set: { Authorization: Basic eA== }, remove: [Cookie] }";
    expect(await route(GUARDED + keys)).toEqual([]);
  });

  const pair = (first: string, second: string) =>
    placesOf(`routes:
  - { match: { ${first} }, upstream: echo, public: true }
  - { match: { ${second} }, upstream: echo, public: true }
`);

  test.each([
    ["path: /a", "path: /a"],
    ["host: a.dev, path: /a", "host: A.dev., path: /a"],
    ["path: /a, methods: [GET]", "path: /a"],
    ["path: /a, methods: [GET]", "path: /a, methods: [HEAD]"],
    ["path: /a, methods: [GET, POST]", "path: /a, methods: [POST]"],
    ["host: a.dev", "host: a.dev, path: /*"],
  ])("{ %s } and { %s } match alike", async (first, second) => {
    expect(await pair(first, second)).toEqual([expect.stringMatching(/^3:\d+ route_duplicate$/)]);
  });

  test.each([
    ["path: /a, methods: [GET]", "path: /a, methods: [POST]"],
    ["path: /a", "path: /a/*"],
    ["path: /a", "path: /a/"],
    ["host: a.dev", "host: b.dev"],
    ["host: a.dev", "host: '*.dev'"],
  ])("{ %s } and { %s } are distinct", async (first, second) => {
    expect(await pair(first, second)).toEqual([]);
  });

  test("names differ", async () => {
    const text = `routes:
  - { name: x, match: { path: /a }, upstream: echo, public: true }
  - { name: x, match: { path: /b }, upstream: echo, public: true }
`;
    expect(await placesOf(text)).toEqual(["3:13 name_duplicate"]);
  });

  test("a mistake in issuers is not told again at each route", async () => {
    const text = `issuers: [{ nmae: okta, issuer: https://a.dev, audiences: [a] }]
routes: [{ upstream: echo, anyAuthenticated: true, issuers: [okta] }, { match: { path: /a }, upstream: echo, anyAuthenticated: true }]
`;
    expect(await placesOf(text)).toEqual(["1:11 key_missing", "1:13 key_unknown"]);
  });

  test("a guarded route needs an issuer at all", async () => {
    const text = "routes: [{ upstream: echo, anyAuthenticated: true }]\n";
    expect(await placesOf(text)).toEqual(["1:10 issuer_missing"]);
  });
});

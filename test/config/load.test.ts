import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { GateError } from "../../src/errors.ts";
import { loadText, loadValid, placesOf } from "./load-text.ts";

const SMALL = `routes:
  - upstream: echo
    public: true
`;

describe("loadConfig()", () => {
  test("fills in every default", async () => {
    const { folder, result } = await loadText(`issuers:
  - name: okta
    issuer: https://acme.okta.com/oauth2/default
    audiences: [api://internal]
routes:
  - upstream: http://127.0.0.1:9000
    policies: [staff]
`);
    const { positionOf, ...config } = result.ok ? result.value : { positionOf: undefined };
    expect(positionOf?.(["routes"])).toEqual({ line: 5, column: 1 });
    expect<unknown>(config).toEqual({
      file: join(folder, "claimgate.yaml"),
      folder,
      listen: [{ kind: "tcp", hostname: "127.0.0.1", port: 8080 }],
      http: { http2: true, maxBodyBytes: 104_857_600, idleTimeoutMs: 120_000 },
      allowPlainHttp: false,
      trustedProxies: [],
      policies: join(folder, "policies"),
      policyTimeoutMs: 250,
      reload: { requireCases: true },
      issuers: [
        {
          name: "okta",
          issuer: "https://acme.okta.com/oauth2/default",
          audiences: ["api://internal"],
          keys: { kind: "discovery", issuer: "https://acme.okta.com/oauth2/default" },
          refreshMs: 600_000,
          staleForMs: 3_600_000,
          algorithms: "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA".split(" "),
          clockToleranceSeconds: 30,
          maxLifetimeSeconds: 86_400,
          requiredClaims: ["sub"],
          claims: {},
        },
      ],
      routes: [
        {
          name: "/*",
          match: { path: "/*" },
          upstreams: [{ kind: "http", origin: "http://127.0.0.1:9000" }],
          issuers: ["okta"],
          crossSite: "refuse",
          credentials: [{ kind: "authorization" }],
          policies: [
            {
              kind: "policy",
              name: "staff",
              options: undefined,
              path: ["routes", 0, "policies", 0],
            },
          ],
          anyAuthenticated: false,
          public: false,
          identityHeaders: {},
          forwardToken: false,
          requestHeaders: { set: {}, remove: [] },
          responseHeaders: { set: {}, remove: [] },
          preserveHost: false,
          timeoutMs: 30_000,
          ambiguousPaths: "refuse",
          streams: { recheckMs: 30_000, graceOnExpiryMs: 0 },
          path: ["routes", 0],
        },
      ],
      store: { kind: "sqlite", file: join(folder, "claimgate.db") },
      revocation: { maxStalenessMs: 30_000, onStoreLoss: "refuse" },
      audit: { claims: "declared", query: [], retainMs: 7_776_000_000 },
      limits: { address: { limit: 600, perMs: 60_000, of: "failures" } },
      session: { idleMs: 3_600_000, lifetimeMs: 43_200_000, refreshMs: 300_000, secrets: [] },
      ledger: { retainMs: 604_800_000 },
      admin: { listen: { kind: "unix", path: join(folder, "claimgate.sock") } },
      workers: 1,
      log: { level: "info" },
    });
  });

  test("takes every key that can be written", async () => {
    const files = {
      "c.pem": "c",
      "k.pem": "k",
      "ca.pem": "ca",
      "geo.mmdb": "g",
      "keys.json": "{}",
    };
    const config = await loadValid(
      `# yaml-language-server: $schema=./claimgate.schema.json
$schema: ./claimgate.schema.json
listen: ["0.0.0.0:8443", "[::1]:0", localhost:81, "unix:gate.sock"]
publicUrl: https://Gate.acme.dev/
tls: { cert: c.pem, key: k.pem, clientCa: ca.pem, clientAuth: required }
http: { http2: false, maxBodySize: 16KB, idleTimeout: 5s }
allowPlainHttp: true
trustedProxies: [10.0.0.0/8, "::ffff:192.168.0.0/112", 2001:DB8::/32, unix]
policies: rules
policyTimeout: 1s
reload: { requireCases: false }
geo: geo.mmdb
workers: 1
issuers:
  - name: own
    issuer: anything
    audiences: [a, b]
    jwks: keys.json
    keys: { refresh: 1m, staleFor: 0s }
    algorithms: [ES256, Ed25519]
    tokenTypes: [application/AT+jwt, JWT]
    clockTolerance: 0s
    maxLifetime: 1h
    requiredClaims: []
    claims: { roles: realm_access.roles }
  - name: okta
    issuer: https://acme.okta.com
    login: { clientId: gate, clientSecret: s3cret, clientAuth: post, scopes: [profile], userinfo: true }
  - name: opaque
    issuer: https://opaque.acme.dev
    audiences: [a]
    introspection: { url: https://opaque.acme.dev/ask, clientId: gate, clientSecret: file:c.pem, cache: 0s }
routes:
  - name: orders
    match: { host: "*.Acme.dev", path: /orders/*, methods: [get, POST] }
    upstream: [https://A.acme.dev:443, "unix:/run/app.sock"]
    stripPrefix: /orders
    issuers: [own, okta]
    credentials: [header, { header: X-Token }, { cookie: access }, { query: access_token }, session]
    login: okta
    crossSite: allow
    anyAuthenticated: true
    identityHeaders: { X-User: sub }
    forwardToken: true
    assertion: { header: X-Assertion, audience: orders, lifetime: 30s, claims: [sub, roles] }
    requestHeaders: { set: { X-A: "" }, remove: [X-B] }
    responseHeaders: { set: { X-C: c }, remove: [Server] }
    preserveHost: true
    timeout: 1ms
    ambiguousPaths: allow
    rateLimit: { limit: 5, per: 10s, by: token }
    streams: { recheck: 5s, graceOnExpiry: 1m }
store: sqlite:state.db
revocation: { maxStaleness: 2s, onStoreLoss: serve }
audit: { claims: [sub, roles], query: [page], retain: 7d, file: audit.jsonl }
limits: { address: { limit: 20, per: 5m, of: failures } }
session: { idle: 10m, lifetime: 8h, refresh: 1m, secret: [first, file:k.pem] }
ledger: { retain: 1d }
admin: { listen: 127.0.0.1:9901, token: t0ken }
pages: { name: " Acme ", colour: "#0A7" }
log: { level: debug }
`,
      { files },
    );
    expect(config).toMatchObject({
      listen: [
        { kind: "tcp", hostname: "0.0.0.0", port: 8443 },
        { kind: "tcp", hostname: "::1", port: 0 },
        { kind: "tcp", hostname: "localhost", port: 81 },
        { kind: "unix", path: join(config.folder, "gate.sock") },
      ],
      publicUrl: "https://gate.acme.dev",
      tls: {
        cert: join(config.folder, "c.pem"),
        key: join(config.folder, "k.pem"),
        clientCa: join(config.folder, "ca.pem"),
        clientAuth: "required",
      },
      http: { http2: false, maxBodyBytes: 16_384, idleTimeoutMs: 5000 },
      allowPlainHttp: true,
      trustedProxies: ["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", "unix"],
      policies: join(config.folder, "rules"),
      policyTimeoutMs: 1000,
      reload: { requireCases: false },
      geo: join(config.folder, "geo.mmdb"),
      store: { kind: "sqlite", file: join(config.folder, "state.db") },
      revocation: { maxStalenessMs: 2000, onStoreLoss: "serve" },
      audit: {
        claims: ["sub", "roles"],
        query: ["page"],
        retainMs: 604_800_000,
        file: join(config.folder, "audit.jsonl"),
      },
      limits: { address: { limit: 20, perMs: 300_000, of: "failures" } },
      session: {
        idleMs: 600_000,
        lifetimeMs: 28_800_000,
        refreshMs: 60_000,
        secrets: ["first", "k"],
      },
      ledger: { retainMs: 86_400_000 },
      admin: { listen: { kind: "tcp", hostname: "127.0.0.1", port: 9901 }, token: "t0ken" },
      brand: { name: "Acme", colour: "#0a7" },
      workers: 1,
      log: { level: "debug" },
    });
    const [own, ...others] = config.issuers;
    expect(others).toMatchObject([
      {
        name: "okta",
        audiences: [],
        login: {
          clientId: "gate",
          clientSecret: "s3cret",
          clientAuth: "post",
          scopes: ["openid", "profile"],
          userinfo: true,
        },
      },
      {
        name: "opaque",
        introspection: {
          url: "https://opaque.acme.dev/ask",
          clientId: "gate",
          clientSecret: "c",
          cacheMs: 0,
        },
      },
    ]);
    expect([own]).toEqual([
      {
        name: "own",
        issuer: "anything",
        audiences: ["a", "b"],
        keys: { kind: "jwks", file: join(config.folder, "keys.json") },
        refreshMs: 60_000,
        staleForMs: 0,
        algorithms: ["ES256", "EdDSA"],
        tokenTypes: ["at+jwt", "jwt"],
        clockToleranceSeconds: 0,
        maxLifetimeSeconds: 3600,
        requiredClaims: [],
        claims: { roles: "realm_access.roles" },
      },
    ]);
    expect(config.routes).toMatchObject([
      {
        name: "orders",
        match: { host: "*.acme.dev", path: "/orders/*", methods: ["GET", "POST"] },
        upstreams: [
          { kind: "http", origin: "https://a.acme.dev" },
          { kind: "unix", socket: "/run/app.sock" },
        ],
        stripPrefix: "/orders",
        issuers: ["own", "okta"],
        login: { issuer: "okta" },
        crossSite: "allow",
        credentials: [
          { kind: "authorization" },
          { kind: "header", name: "X-Token" },
          { kind: "cookie", name: "access" },
          { kind: "query", name: "access_token" },
          { kind: "session" },
        ],
        anyAuthenticated: true,
        identityHeaders: { "X-User": "sub" },
        forwardToken: true,
        assertion: {
          header: "X-Assertion",
          audience: "orders",
          lifetimeMs: 30_000,
          claims: ["sub", "roles"],
        },
        requestHeaders: { set: { "X-A": "" }, remove: ["X-B"] },
        responseHeaders: { set: { "X-C": "c" }, remove: ["Server"] },
        preserveHost: true,
        timeoutMs: 1,
        ambiguousPaths: "allow",
        rateLimit: { limit: 5, perMs: 10_000, by: "token" },
        streams: { recheckMs: 5000, graceOnExpiryMs: 60_000 },
      },
    ]);
  });

  test("an entry with development: true needs nothing else", async () => {
    const config = await loadValid(`issuers:
  - { name: dev, development: true }
routes:
  - { upstream: echo, anyAuthenticated: true }
`);
    expect(config.issuers).toMatchObject([
      {
        issuer: "urn:claimgate:development",
        audiences: ["dev"],
        keys: { kind: "development", folder: join(config.folder, ".claimgate") },
      },
    ]);
    expect(config.routes).toMatchObject([{ issuers: ["dev"] }]);
  });

  test("names routes after host and path, each differently", async () => {
    const config = await loadValid(`routes:
  - { match: { host: a.dev, path: /x }, upstream: echo, public: true }
  - { match: { path: /y, methods: [GET] }, upstream: echo, public: true }
  - { match: { path: /y, methods: [POST, PUT] }, upstream: echo, public: true }
`);
    expect(config.routes.map(({ name }) => name)).toEqual(["a.dev/x", "/y", "POST,PUT /y"]);
  });

  test.each([
    ["8080", { kind: "tcp", hostname: "0.0.0.0", port: 8080 }],
    ['":8080"', { kind: "tcp", hostname: "0.0.0.0", port: 8080 }],
    ["127.0.0.1:0", { kind: "tcp", hostname: "127.0.0.1", port: 0 }],
    ['"[::ffff:127.0.0.1]:80"', { kind: "tcp", hostname: "127.0.0.1", port: 80 }],
    ["unix:/run/gate.sock", { kind: "unix", path: "/run/gate.sock" }],
  ])("listens on %s", async (listen, address) => {
    const config = await loadValid(`listen: ${listen}\nallowPlainHttp: true\n${SMALL}`);
    expect<unknown>(config.listen).toEqual([address]);
  });

  test("a file that is not there is a wrong use of the command", async () => {
    const missing = join(import.meta.dir, "no-such-file.yaml");
    const fault = await loadConfig(missing, {}).catch((thrown: unknown) => thrown);
    expect(fault).toBeInstanceOf(GateError);
    expect(fault).toMatchObject({ code: "usage_wrong" });
    expect((fault as GateError).message).toContain(missing);
  });

  test("bounds the file's size and wants UTF-8", async () => {
    expect(await placesOf(`# ${"x".repeat(1024 * 1024)}\n${SMALL}`)).toEqual([
      "1:1 file_too_large",
    ]);
    const latin1 = Buffer.concat([Buffer.from([0x23, 0xe9, 0x0a]), Buffer.from(SMALL)]);
    expect(await placesOf(latin1)).toEqual(["1:1 encoding_invalid"]);
  });

  test("positionOf finds values, keys of blocks, and what stands around a missing one", async () => {
    const { positionOf } = await loadValid(`routes:
  - upstream: echo
    anyAuthenticated: true
    policies:
      - staff
      - require-roles: { anyOf: [admin] }
issuers: [{ name: dev, development: true }]
`);
    expect(positionOf(["routes", 0])).toEqual({ line: 2, column: 5 });
    expect(positionOf(["routes", 0, "upstream"])).toEqual({ line: 2, column: 15 });
    expect(positionOf(["routes", 0, "policies"])).toEqual({ line: 4, column: 5 });
    expect(positionOf(["routes", 0, "policies", 0])).toEqual({ line: 5, column: 9 });
    const options = ["routes", 0, "policies", 1, "require-roles"];
    expect(positionOf([...options, "anyOf", 0])).toEqual({ line: 6, column: 34 });
    expect(positionOf([...options, "noneOf"])).toEqual({ line: 6, column: 24 });
    expect(positionOf(["geo"])).toEqual({ line: 1, column: 1 });
  });
});

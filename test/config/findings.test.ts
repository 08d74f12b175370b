import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { loadText, loadValid, placesOf } from "./load-text.ts";

const MISTAKEN = `listen: 0.0.0.0:8080
allowPlainHtpp: true
policyTimeout: 11s
http: { maxBodySize: 10 MB, idleTimeout: 10m }
session: { idle: 100d }
issuers:
  - name: okta
    issuer: http://acme.okta.com
    audiences: []
    algorithms: [RS256, HS256]
    jwksUri: https://acme.okta.com/keys
    jwks: nowhere.json
    decryptionKey: \${NOT_SET}
    decryptionKey: file:second
  - name: dev
    development: "yes"
routes:
  - name: orders
    match: { path: orders/*, methods: [TRACE] }
    upstream: http://127.0.0.1:9000/api
    issuers: [otka]
    policies: []
  - name: orders
    match: { host: "a.*.dev", path: /a/../b }
    upstream: ftp://x
    issuers: [okta]
    public: true
    policies: [staff]
    login: true
    identityHeaders: { X_User: sub, x-user: email }
    timeout: 30
  - match: { path: /a }
    upstream: echo
    issuers: [okta]
  - match: { path: /a, methods: [HEAD] }
    upstream: echo
    issuers: [okta]
    policies: [{ a: 1, b: 2 }, { any: [] }]
    requestHeaders: { set: { X-A: "a\\nb" } }
`;

const SMALL = "routes: [{ upstream: echo, public: true }]\n";

describe("findings", () => {
  test("are told all at once, in order, each at its place", async () => {
    expect(await placesOf(MISTAKEN)).toEqual([
      "1:9 listen_plain",
      "2:1 key_unknown",
      "3:16 value_out_of_range",
      "4:22 value_invalid",
      "4:42 value_out_of_range",
      "5:18 value_out_of_range",
      "8:13 url_plain",
      "9:16 list_empty",
      "10:25 algorithm_refused",
      "12:5 keys_ambiguous",
      "13:20 environment_unset",
      "14:5 key_duplicate",
      "16:18 type_wrong",
      "19:20 path_invalid",
      "19:40 method_invalid",
      "20:15 url_invalid",
      "21:15 issuer_unknown",
      "22:15 list_empty",
      "23:11 name_duplicate",
      "24:20 host_invalid",
      "24:37 path_invalid",
      "25:15 url_invalid",
      "28:5 route_public_guarded",
      "29:5 route_public_guarded",
      "30:37 header_duplicate",
      "31:14 type_wrong",
      "32:5 route_unguarded",
      "35:20 route_duplicate",
      "38:16 policy_entry_invalid",
      "38:34 policy_entry_invalid",
      "39:35 header_value_invalid",
    ]);
  });

  test("name the file as it was given, and a fix each", async () => {
    const folder = await mkdtemp(join(tmpdir(), "claimgate-findings-"));
    try {
      await writeFile(join(folder, "gate.yaml"), MISTAKEN);
      const given = `${folder}/./gate.yaml`;
      const result = await loadConfig(given, {});
      const findings = result.ok ? [] : result.error;
      expect(findings.length).toBe(31);
      for (const finding of findings) {
        expect(finding.file).toBe(given);
        expect(finding.severity).toBe("error");
        expect(finding.fix).toMatch(/\S/);
        expect(finding.message).not.toMatch(/undefined|\.$/);
      }
      expect(findings[1]).toMatchObject({
        message: "unknown key allowPlainHtpp: did you mean allowPlainHttp?",
        fix: "write allowPlainHttp",
      });
      expect(findings[25]).toMatchObject({
        message: "timeout must be a duration, found 30",
        fix: "write a number and its unit, for example 30s",
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("never show a secret", async () => {
    const secrets = { KEY: "hunter2-from-environment" };
    const { result } = await loadText(
      `listen: \${KEY}
issuers:
  - name: a
    issuer: "\${KEY} x"
    audiences: [a]
    algorithms: ["\${KEY}"]
    jwksUri: \${KEY}
    decryptionKey: hunter2-as-written
    clockTolerance: \${KEY}
  - name: b
    issuer: https://b.dev
    audiences: [a]
    decryptionKey: file:secret
routes:
  - upstream: http://user:hunter2-in-url@127.0.0.1
    issuers: [a]
    public: \${KEY}
    policies: [a]
    timeout: \${KEY}
    requestHeaders: { set: { Authorization: "hunter2-in-header\\n", X-B: 4242424242 } }
`,
      { environment: secrets, files: { secret: "hunter2-in-file" } },
    );
    const findings = result.ok ? [] : result.error;
    expect(findings.length).toBeGreaterThanOrEqual(10);
    expect(JSON.stringify(findings)).not.toMatch(/hunter2|4242/);
  });

  test.each([
    [`a: [1, \${X}]\n`, "1:9"],
    ["a: 'never closed\n", "2:1"],
    ["routes:\n  - a\n b: c\n", "3:1"],
    ["routes:\n\t- a\n", "2:1"],
    ["a: *nothing\n", "1:4"],
    ["a: !secret x\n", "1:4"],
    ["a: &a [*a]\n", "1:8"],
    ["routes: []\n---\nroutes: []\n", "2:1"],
    ["? [a]\n: 1\n", "1:3"],
    ["__proto__: 1\nroutes: []\n", "1:1"],
  ])("say where %j is not YAML that is read here", async (text, place) => {
    const places = await placesOf(text);
    expect(places).toContain(`${place} yaml_invalid`);
  });

  test("say that a syntax error is all that can be told", async () => {
    expect(await placesOf("unknown: 1\nroutes: 'x\n")).toEqual(["3:1 yaml_invalid"]);
  });

  test.each([
    ["", "1:1 type_wrong"],
    ["- a\n", "1:1 type_wrong"],
    ["listen: 127.0.0.1:0\n", "1:1 key_missing"],
    ["routes:\n", "1:1 type_wrong"],
    ["routes: {}\n", "1:9 type_wrong"],
    ["routes: [echo]\n", "1:10 type_wrong"],
  ])("of %j: %s", async (text, place) => {
    expect(await placesOf(text)).toEqual([place]);
  });

  test("aliases may repeat a value, but not without bound", async () => {
    const ring = "routes:\n  - &r { match: { path: /a }, upstream: echo, public: true }\n";
    expect(await placesOf(ring)).toEqual([]);
    const again = "listen: &l 127.0.0.1:1\nlog: { level: &l debug }\npolicies: *l\n";
    expect((await loadValid(again + SMALL)).policies).toEndWith("/debug");
    expect(await placesOf(`${ring}  - *r\n`)).toEqual(["3:5 route_duplicate"]);
    const levels = "bcdefgh".split("").map((name, index) => {
      const inner = `*${"abcdefgh"[index]}`;
      return `${name}: &${name} [${Array(10).fill(inner).join(", ")}]`;
    });
    const bomb = ["a: &a [1, 2, 3]", ...levels].join("\n");
    expect(await placesOf(bomb)).toContainEqual(expect.stringMatching(/ yaml_too_large$/));
    const deep = `routes: ${"[".repeat(100)}${"]".repeat(100)}`;
    expect(await placesOf(deep)).toContainEqual(expect.stringMatching(/ yaml_too_deep$/));
    const hostile = await placesOf("[".repeat(20_000));
    expect(hostile.length).toBeGreaterThan(0);
  });

  test("of the wrong kind of value are told once, and nothing follows from them", async () => {
    const text = `listen: [127.0.0.1:0, {}]
trustedProxies: [unix, {}]
issuers:
  - name: a
    issuer: https://a.dev
    audiences: [x, {}]
    algorithms: [ES256, {}]
    tokenTypes: [JWT, {}]
    requiredClaims: [sub, {}]
    claims: { a: b, c: {} }
routes:
  - match: { methods: [GET, {}] }
    upstream: [echo, {}]
    issuers: [a, {}]
    credentials: [header, 7, { query: {} }]
    policies: [x, { any: [NO] }, NO]
    identityHeaders: { X-A: {} }
    requestHeaders: { set: { X-B: {} }, remove: [{}] }
  - { match: { path: /b }, upstream: echo, issuers: [a], public: "no" }
  - { match: { path: /c }, upstream: echo, issuers: [a], policies: staff }
`.replaceAll("NO", `'\${NO}'`);
    expect(await placesOf(text)).toEqual([
      "1:23 type_wrong",
      "2:24 type_wrong",
      "6:20 type_wrong",
      "7:25 type_wrong",
      "8:23 type_wrong",
      "9:27 type_wrong",
      "10:24 type_wrong",
      "12:29 type_wrong",
      "13:22 type_wrong",
      "14:18 type_wrong",
      "15:27 type_wrong",
      "15:39 type_wrong",
      "16:27 environment_unset",
      "16:39 environment_unset",
      "17:29 type_wrong",
      "18:35 type_wrong",
      "18:50 type_wrong",
      "19:66 type_wrong",
      "20:68 type_wrong",
    ]);
    expect(await placesOf(`listen: {}\nissuers: [7]\n${SMALL}`)).toEqual([
      "1:9 type_wrong",
      "2:11 type_wrong",
    ]);
  });
});

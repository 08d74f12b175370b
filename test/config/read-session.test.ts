// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { loadText, loadValid, placesOf, type Surroundings } from "./load-text.ts";

const LOGIN = `publicUrl: https://gate.acme.dev
issuers: [{ name: okta, issuer: "https://okta.dev", login: { clientId: gate } }]
routes: [{ upstream: echo, anyAuthenticated: true, login: true }]
`;
const OPEN = "routes: [{ upstream: echo, public: true }]\n";
const AROUND: Surroundings = {
  files: { "a.txt": "one\n" },
  environment: { EMPTY: "", TWO: "two" },
};

describe("session", () => {
  test.each([
    ["secret: one", ["one"]],
    ["secret: file:a.txt", ["one"]],
    ['secret: ["${TWO}", file:a.txt]', ["two", "one"]],
  ])("%s", async (written, secrets) => {
    const config = await loadValid(`session: { ${written} }\n${LOGIN}`, AROUND);
    expect(config.session.secrets).toEqual(secrets);
  });

  test.each([
    ["idle: 999ms", "1:18 value_out_of_range"],
    ["idle: 91d", "1:18 value_out_of_range"],
    ["lifetime: 0s", "1:22 value_out_of_range"],
    ["lifetime: 366d", "1:22 value_out_of_range"],
    ["refresh: 25h", "1:21 value_out_of_range"],
    ["refresh: often", "1:21 value_invalid"],
    ["secret: []", "1:20 list_empty"],
    ["secret: ''", "1:20 secret_empty"],
    ["secret: [one, '']", "1:26 secret_empty"],
    ['secret: ["${EMPTY}"]', "1:21 secret_empty"],
    ["secret: [one, file:a.txt]", "1:26 secret_duplicate"],
    ["secret: [file:b.txt]", "1:21 file_missing"],
    ["secret: { a: b }", "1:20 type_wrong"],
    ["secret: 4711", "1:20 type_wrong"],
    ["secrets: a", "1:12 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(`session: { ${written} }\n${LOGIN}`, AROUND)).toEqual([place]);
  });

  test("no finding shows a secret", async () => {
    for (const secret of ["[hunter2, hunter2]", "471147114711"]) {
      const { result } = await loadText(`session: { secret: ${secret} }\n${OPEN}`);
      expect(result.ok).toBe(false);
      expect(JSON.stringify(result)).not.toMatch(/hunter2|4711/);
    }
  });

  test("gates that share sessions in Redis share a secret", async () => {
    const redis = "store: redis://127.0.0.1\n";
    expect(await placesOf(redis + LOGIN)).toEqual(["1:8 session_secret_missing"]);
    expect(await placesOf(`${redis}session: { idle: 2h }\n${LOGIN}`)).toEqual([
      "2:10 session_secret_missing",
    ]);
    expect(await placesOf(`${redis}session: { secret: one }\n${LOGIN}`)).toEqual([]);
    expect(await placesOf(redis + OPEN)).toEqual([]);
  });

  test("gates that share the keys of assertions in Redis share a secret", async () => {
    const route =
      "{ upstream: echo, issuers: [a], anyAuthenticated: true, assertion: { header: X-A, audience: a } }";
    const asserting = `issuers: [{ name: a, issuer: "https://a.example", audiences: [a] }]\nroutes: [${route}]\n`;
    const redis = "store: redis://127.0.0.1\n";
    expect(await placesOf(redis + asserting)).toEqual(["3:77 session_secret_missing"]);
    expect(await placesOf(`${redis}session: { secret: one }\n${asserting}`)).toEqual([]);
    expect(await placesOf(asserting)).toEqual([]);
  });
});

describe("pages", () => {
  test.each([
    ["{}", {}],
    ["{ name: Acme }", { name: "Acme" }],
    ['{ colour: "#00AA77" }', { colour: "#00aa77" }],
  ])("%s", async (written, brand) => {
    expect((await loadValid(`pages: ${written}\n${OPEN}`)).brand).toEqual(brand);
  });

  test("are plain where nothing is written", async () => {
    expect((await loadValid(OPEN)).brand).toBeUndefined();
  });

  test.each([
    ["{ name: '' }", "1:16 name_invalid"],
    [`{ name: ${"x".repeat(65)} }`, "1:16 name_invalid"],
    ['{ name: "a\\nb" }', "1:16 name_invalid"],
    ["{ colour: green }", "1:18 value_invalid"],
    ["{ colour: '#0a7f' }", "1:18 value_invalid"],
    ["{ colour: '#0a7;}' }", "1:18 value_invalid"],
    ["{ color: '#0a7' }", "1:10 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(`pages: ${written}\n${OPEN}`)).toEqual([place]);
  });
});

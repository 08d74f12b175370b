import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadText, loadValid, placesOf } from "./load-text.ts";

const ROUTES = `routes:
  - upstream: echo
    public: true
`;

const load = (line: string) => loadValid(`${line}\n${ROUTES}`);
const places = (line: string) => placesOf(`${line}\n${ROUTES}`);

describe("audit", () => {
  test.each([
    ["{}", {}],
    ["{ claims: declared }", {}],
    ["{ claims: [] }", { claims: [] }],
    ["{ claims: [sub, email, sub] }", { claims: ["sub", "email"] }],
    ["{ query: [page, q, page] }", { query: ["page", "q"] }],
    ["{ retain: 1s }", { retainMs: 1000 }],
    ["{ retain: 3650d }", { retainMs: 315_360_000_000 }],
  ])("%s", async (written, difference) => {
    const { audit } = await load(`audit: ${written}`);
    const preset = { claims: "declared", query: [], retainMs: 7_776_000_000 };
    expect<unknown>(audit).toEqual({ ...preset, ...difference });
  });

  test("a file stands beside the configuration, or where its path says", async () => {
    const { audit, folder } = await load("audit: { file: audit.jsonl }");
    expect(audit.file).toBe(join(folder, "audit.jsonl"));
    expect((await load("audit: { file: /tmp/audit.jsonl }")).audit.file).toBe("/tmp/audit.jsonl");
  });

  test.each([
    ["audit: { claims: decl }", "1:18 type_wrong"],
    ["audit: { claims: [1] }", "1:19 type_wrong"],
    ['audit: { claims: [sub, ""] }', "1:24 name_invalid"],
    ['audit: { query: ["a\\nb"] }', "1:18 name_invalid"],
    ["audit: { query: page }", "1:17 type_wrong"],
    [
      `audit: { query: [${Array.from({ length: 101 }, (_, at) => `q${at}`)}] }`,
      "1:17 list_too_long",
    ],
    ["audit: { query: [access_token] }", "1:18 audit_query_credential"],
    ["audit: { retain: 0s }", "1:18 value_out_of_range"],
    ["audit: { retain: 3651d }", "1:18 value_out_of_range"],
    ["audit: { retain: 90 }", "1:18 type_wrong"],
    ["audit: { file: logs/audit.jsonl }", "1:16 folder_missing"],
    ['audit: { file: "" }', "1:16 file_invalid"],
    ["audit: { file: . }", "1:16 file_invalid"],
    ["audit: { file: /dev/null }", "1:16 file_invalid"],
    ["audit: { file: claimgate.yaml }", "1:16 file_taken"],
    ["audit: { file: claimgate.db }", "1:16 file_taken"],
    ["audit: { file: ./claimgate.db-wal }", "1:16 file_taken"],
    ["audit: { file: audit.key }", "1:16 file_taken"],
    ["audit: { retian: 1d }", "1:10 key_unknown"],
    ["audit: true", "1:8 type_wrong"],
  ])("%s: %s", async (line, place) => {
    expect(await places(line)).toEqual([place]);
  });

  test("a parameter that a route takes its credential from is never recorded", async () => {
    const { result } = await loadText(`issuers: [{ name: dev, development: true }]
audit: { query: [page, key] }
routes:
  - name: orders
    upstream: echo
    credentials: [header, { query: key }]
    anyAuthenticated: true
`);
    expect(result.ok ? [] : result.error).toMatchObject([
      {
        line: 2,
        column: 24,
        code: "audit_query_credential",
        message: "the route orders takes its credential from it: tokens would be recorded",
      },
    ]);
  });
});

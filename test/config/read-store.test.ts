// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadText, loadValid, placesOf, type Surroundings } from "./load-text.ts";

const ROUTES = "routes: [{ upstream: echo, public: true }]\n";

const load = (line: string, around?: Surroundings) => loadValid(`${line}\n${ROUTES}`, around);
const places = (line: string, around?: Surroundings) => placesOf(`${line}\n${ROUTES}`, around);

describe("store", () => {
  test.each([
    ["sqlite:state.db", "state.db"],
    ["sqlite:./state.db", "state.db"],
    ["'sqlite:a b?c.db'", "a b?c.db"],
    ["sqlite:${NAME}.db", "named.db"],
    ["file:address", "filed.db"],
  ])("%s is a file beside the configuration", async (written, name) => {
    const files = { address: "sqlite:filed.db\n" };
    const config = await load(`store: ${written}`, { environment: { NAME: "named" }, files });
    expect<unknown>(config.store).toEqual({ kind: "sqlite", file: join(config.folder, name) });
  });

  test("sqlite: takes an absolute path, and a file that is there already", async () => {
    expect<unknown>((await load("store: sqlite:/tmp/gate.db")).store).toEqual({
      kind: "sqlite",
      file: "/tmp/gate.db",
    });
    const { store, folder } = await load("store: sqlite:there.db", { files: { "there.db": "" } });
    expect<unknown>(store).toEqual({ kind: "sqlite", file: join(folder, "there.db") });
  });

  test.each([
    ["redis://127.0.0.1", "redis://127.0.0.1", "claimgate:"],
    ["REDIS://cache.acme.dev:6380/2", "redis://cache.acme.dev:6380/2", "claimgate:"],
    ["rediss://[::1]:6380/", "rediss://[::1]:6380/", "claimgate:"],
    ["redis://gate:${PW}@cache/0?prefix=blue:", "redis://gate:s%2Fx@cache/0", "blue:"],
    ["redis://:p@ss@cache?prefix=a%7Bb%7D", "redis://:p%40ss@cache/", "a{b}"],
    ["file:address", "rediss://:filed@cache", "claimgate:"],
  ])("%s is shared", async (written, url, prefix) => {
    const around = { environment: { PW: "s%2Fx" }, files: { address: "rediss://:filed@cache\n" } };
    const { store } = await load(`store: "${written}"`, around);
    expect<unknown>(store).toEqual({ kind: "redis", url, prefix });
  });

  test.each([
    ["store: claimgate.db", "store_invalid"],
    ["store: postgres://db/gate", "store_invalid"],
    ["store: 'sqlite:'", "file_invalid"],
    ["store: 'sqlite::memory:'", "store_invalid"],
    ["store: sqlite:///var/lib/gate.db", "store_invalid"],
    ["store: sqlite://gate.db", "store_invalid"],
    ["store: sqlite:nowhere/gate.db", "folder_missing"],
    ["store: sqlite:file.txt/gate.db", "folder_missing"],
    ["store: sqlite:state/", "file_invalid"],
    ["store: sqlite:.", "file_invalid"],
    ['store: "sqlite:a\\0b"', "file_invalid"],
    ["store: sqlite:claimgate.yaml", "store_invalid"],
    ["store: 'redis:'", "store_invalid"],
    ["store: redis://", "store_invalid"],
    ["store: redis:/cache", "store_invalid"],
    ["store: redis://cache:0", "store_invalid"],
    ["store: redis://cache:65536", "store_invalid"],
    ["store: redis://cache/first", "store_invalid"],
    ["store: redis://cache/0/1", "store_invalid"],
    ["store: 'redis://cache#0'", "store_invalid"],
    ["store: redis://a,b", "store_invalid"],
    ["store: redis://cache?tls=1", "store_invalid"],
    ["store: redis://cache?prefix=a&prefix=b", "store_invalid"],
    ["store: redis://cache?prefix=", "store_invalid"],
    ["store: redis://cache?prefix=a*", "store_invalid"],
    [`store: redis://cache?prefix=${"a".repeat(65)}`, "store_invalid"],
    ["store: redis://:${EMPTY}@cache", "secret_empty"],
    ["store: ${EMPTY}", "secret_empty"],
    ["store: ${UNSET}", "environment_unset"],
    ["store: file:nowhere", "file_missing"],
    ["store: [redis://a, redis://b]", "type_wrong"],
  ])("%s: %s", async (line, code) => {
    const around = { environment: { EMPTY: "" }, files: { "file.txt": "" } };
    expect(await places(line, around)).toEqual([`1:8 ${code}`]);
  });

  test.each([
    "redis://:hunter2",
    "redis://:hunter2@",
    "redis://:hunter/2@cache",
    "redis://:12/hunter2@cache",
    "redis://:hunter#2@cache",
    "redis://:1?hunter2@cache",
    "redis://cache?hunter2=1",
    "redis://:hunter2@cache?prefix=hunter2*",
    "redis://:hunter 2@cache",
    "reddis://:hunter2@cache",
    "sqlite:redis://:hunter2@cache/0",
    "sqlite:///hunter2/x",
    "hunter2",
    "[redis://:hunter2@cache]",
    "{ url: redis://:hunter2@cache }",
  ])("no finding shows what is in %s", async (address) => {
    const shown: unknown[] = [];
    const lines = [
      `store: ${address.includes(": ") || address.startsWith("[") ? address : JSON.stringify(address)}`,
    ];
    const environment = { STORE: address };
    const files = { store: address };
    lines.push("store: ${STORE}", "store: file:store", "store:\n  - ${STORE}");
    for (const line of lines) {
      const { result } = await loadText(`${line}\n${ROUTES}`, { environment, files });
      shown.push(result.ok ? "none" : result.error);
    }
    expect(shown).not.toContain("none");
    expect(JSON.stringify(shown)).not.toContain("hunter");
  });

  test("names the variable that is empty", async () => {
    const { result } = await loadText(`store: "redis://:\${PW}@cache"\n${ROUTES}`, {
      environment: { PW: "" },
    });
    expect(result.ok ? [] : result.error).toMatchObject([
      {
        message: "the password in store is empty",
        fix: "set PW, or write a password after the :, or remove the :",
      },
    ]);
  });
});

describe("revocation", () => {
  test.each([
    ["{}", { maxStalenessMs: 30_000, onStoreLoss: "refuse" }],
    ["{ maxStaleness: 1s }", { maxStalenessMs: 1000, onStoreLoss: "refuse" }],
    ["{ maxStaleness: 24h }", { maxStalenessMs: 86_400_000, onStoreLoss: "refuse" }],
    ["{ onStoreLoss: '${LOSS}' }", { maxStalenessMs: 30_000, onStoreLoss: "serve" }],
  ])("%s", async (written, revocation) => {
    const config = await load(`revocation: ${written}`, { environment: { LOSS: "serve" } });
    expect<unknown>(config.revocation).toEqual(revocation);
  });

  test.each([
    ["revocation: { maxStaleness: 999ms }", "1:29 value_out_of_range"],
    ["revocation: { maxStaleness: 25h }", "1:29 value_out_of_range"],
    ["revocation: { maxStaleness: 30 }", "1:29 type_wrong"],
    ["revocation: { onStoreLoss: open }", "1:28 type_wrong"],
    ["revocation: { onStorelos: serve }", "1:15 key_unknown"],
    ["revocation: 30s", "1:13 type_wrong"],
  ])("%s: %s", async (line, place) => {
    expect(await places(line)).toEqual([place]);
  });
});

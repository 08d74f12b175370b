// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { loadText, loadValid, placesOf } from "./load-text.ts";

const OPEN = "routes: [{ upstream: echo, public: true }]\n";
const environment = { EMPTY: "", TOKEN: "t0ken" };

describe("admin", () => {
  test("is a socket beside the configuration where the store is elsewhere", async () => {
    const { admin, folder } = await loadValid(`store: redis://127.0.0.1\n${OPEN}`);
    expect(admin).toEqual({ listen: { kind: "unix", path: join(folder, "claimgate.sock") } });
  });

  test("is a socket beside the store where that is a file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "claimgate-admin-"));
    try {
      await mkdir(join(folder, "state"));
      await writeFile(join(folder, "claimgate.yaml"), `store: sqlite:state/gate.db\n${OPEN}`);
      const config = await loadConfig(join(folder, "claimgate.yaml"), {});
      expect(config.ok && config.value.admin).toEqual({
        listen: { kind: "unix", path: join(folder, "state", "claimgate.sock") },
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("a folder too deep for a socket's path is no fault of its owner's", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "claimgate-admin-")), "x".repeat(100));
    try {
      await mkdir(folder);
      await writeFile(join(folder, "claimgate.yaml"), OPEN);
      const config = await loadConfig(join(folder, "claimgate.yaml"), {});
      const path = join(folder, "claimgate.sock");
      expect(config.ok && config.value.admin.listen).toEqual({ kind: "unix", path });
    } finally {
      await rm(join(folder, ".."), { recursive: true, force: true });
    }
  });

  test.each([
    ['{ listen: "unix:/run/gate.sock" }', { listen: { kind: "unix", path: "/run/gate.sock" } }],
    ['{ token: "${TOKEN}" }', { token: "t0ken" }],
    [
      "{ listen: 127.0.0.1:9901, token: t }",
      { listen: { kind: "tcp", hostname: "127.0.0.1", port: 9901 }, token: "t" },
    ],
    ['{ listen: "[::1]:0", token: t }', { listen: { hostname: "::1", port: 0 } }],
  ])("%s", async (written, admin) => {
    const config = await loadValid(`admin: ${written}\n${OPEN}`, { environment });
    expect(config.admin).toMatchObject(admin as object);
  });

  test.each([
    ["{ listen: 127.0.0.1:9901 }", "1:18 admin_token_missing"],
    ["{ listen: nowhere }", "1:18 listen_invalid"],
    ["{ listen: 'unix:' }", "1:18 listen_invalid"],
    ["{ listen: 127.0.0.1:8080, token: t }", "1:18 listen_duplicate"],
    ["{ listen: 0.0.0.0:9901, token: t }", "1:18 listen_plain"],
    ["{ listen: 9901, token: t }", "1:18 listen_plain"],
    ["{ listen: unix:claimgate.db }", "1:18 file_taken"],
    ["{ token: '' }", "1:17 secret_empty"],
    ['{ token: "${EMPTY}" }', "1:17 secret_empty"],
    ['{ token: "${ABSENT}" }', "1:17 environment_unset"],
    ['{ listen: 127.0.0.1:9901, token: "${EMPTY}" }', "1:41 secret_empty"],
    ["{ token: a b }", "1:17 secret_invalid"],
    ["{ token: tökén }", "1:17 secret_invalid"],
    ["{ lisen: 'unix:a' }", "1:10 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(`admin: ${written}\n${OPEN}`, { environment })).toEqual([place]);
  });

  test("beyond this machine only by the owner's word", async () => {
    const text = `admin: { listen: 0.0.0.0:9901, token: t }\nallowPlainHttp: true\n${OPEN}`;
    expect(await placesOf(text)).toEqual([]);
  });

  test("no finding shows the token", async () => {
    const { result } = await loadText(`admin: { token: hunter2 hunter2 }\n${OPEN}`);
    expect(JSON.stringify(result)).toContain("secret_invalid");
    expect(JSON.stringify(result)).not.toContain("hunter2");
  });
});

describe("ledger", () => {
  test.each([
    ["{}", 604_800_000],
    ["{ retain: 0s }", 0],
    ["{ retain: 3650d }", 315_360_000_000],
  ])("%s", async (written, retainMs) => {
    expect((await loadValid(`ledger: ${written}\n${OPEN}`)).ledger).toEqual({ retainMs });
  });

  test.each([
    ["{ retain: 3651d }", "1:19 value_out_of_range"],
    ["{ retain: 7 }", "1:19 type_wrong"],
    ["7d", "1:9 type_wrong"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(`ledger: ${written}\n${OPEN}`)).toEqual([place]);
  });
});

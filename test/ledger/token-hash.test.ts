import { describe, expect, test } from "bun:test";
import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { GateError } from "../../src/errors.ts";
import { isTokenHash, openTokenHash } from "../../src/ledger/token-hash.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { tokenOf } from "./kit.ts";

/** All that a Redis store is to a token hash. */
function sharedSecrets() {
  const state = { secrets: new Map<string, Uint8Array>(), isAway: false };
  const secret = async (name: string, fresh: Uint8Array) => {
    if (state.isAway) throw new GateError("store_unavailable", "it is away");
    const kept = state.secrets.get(name) ?? fresh;
    state.secrets.set(name, kept);
    return kept;
  };
  return { state, store: { secret } };
}

const REDIS = { kind: "redis", url: "redis://127.0.0.1:1", prefix: "" } as const;

describe("openTokenHash() beside SQLite", () => {
  test("makes one key for all who start at once, for the owner alone", async () => {
    await using folder = await tempFolder();
    const config = { kind: "sqlite", file: join(folder.path, "claimgate.db") } as const;
    const hashes = await Promise.all([1, 2, 3, 4].map(() => openTokenHash({}, config)));
    expect(new Set(hashes.map((hash) => hash.of(tokenOf()))).size).toBe(1);
    const state = join(folder.path, ".claimgate");
    expect(await readdir(state)).toEqual(["token-hash.key"]);
    expect((await stat(join(state, "token-hash.key"))).mode & 0o777).toBe(0o600);
    expect((await stat(state)).mode & 0o777).toBe(0o700);
  });

  test("has another key, and so other hashes, elsewhere", async () => {
    await using a = await tempFolder();
    await using b = await tempFolder();
    const hashIn = (path: string) =>
      openTokenHash({}, { kind: "sqlite", file: join(path, "claimgate.db") });
    expect((await hashIn(a.path)).ofDigest("d1")).not.toBe((await hashIn(b.path)).ofDigest("d1"));
  });

  test("refuses a key of another length, and leaves it", async () => {
    await using folder = await tempFolder({ ".claimgate/token-hash.key": "short" });
    await chmod(join(folder.path, ".claimgate/token-hash.key"), 0o600);
    const opening = openTokenHash({}, { kind: "sqlite", file: join(folder.path, "claimgate.db") });
    expect(opening).rejects.toMatchObject({ code: "state_unusable" });
    await opening.catch(() => {});
    expect(await Bun.file(join(folder.path, ".claimgate/token-hash.key")).text()).toBe("short");
  });
});

describe("a hash", () => {
  test("is short, and tells tokens apart by their digest alone", async () => {
    const hash = await openTokenHash(sharedSecrets().store, REDIS);
    const one = hash.of(tokenOf()) ?? "";
    expect(isTokenHash(one)).toBe(true);
    expect(hash.of(tokenOf({ id: "other" }))).toBe(one);
    expect(hash.ofDigest("d1")).toBe(one);
    expect(hash.of(tokenOf({ digest: "d2" }))).not.toBe(one);
    const { digest: _, ...made } = tokenOf();
    expect(hash.of(made)).toBeUndefined();
  });

  test.each(["", "a.b.c", "a".repeat(21), "a".repeat(23), `${"a".repeat(21)}+`])(
    "is not %p",
    (text) => {
      expect(isTokenHash(text)).toBe(false);
    },
  );
});

describe("openTokenHash() with Redis", () => {
  test("uses the key that all gates share", async () => {
    const { store } = sharedSecrets();
    const [here, there] = await Promise.all([
      openTokenHash(store, REDIS),
      openTokenHash(store, REDIS),
    ]);
    expect(here.of(tokenOf())).toBe(there.of(tokenOf()));
    expect(await there.settle()).toBe(false);
  });

  test("starts without the store, and takes its key over later", async () => {
    const { state, store } = sharedSecrets();
    const others = (await openTokenHash(store, REDIS)).of(tokenOf());
    state.isAway = true;
    const token = tokenOf();
    const hash = await openTokenHash(store, REDIS);
    const own = hash.of(token);
    expect(own).not.toBe(others);
    expect(hash.settle()).rejects.toMatchObject({ code: "store_unavailable" });
    state.isAway = false;
    expect(await hash.settle()).toBe(true);
    expect(hash.of(token)).toBe(others);
    expect(hash.everyOf("d1")).toEqual([others ?? "", own ?? ""]);
  });

  test("gives its key to a store that has lost it", async () => {
    const { state, store } = sharedSecrets();
    const hash = await openTokenHash(store, REDIS);
    const before = hash.of(tokenOf());
    state.secrets.clear();
    expect(await hash.settle()).toBe(false);
    expect((await openTokenHash(store, REDIS)).of(tokenOf())).toBe(before);
  });
});

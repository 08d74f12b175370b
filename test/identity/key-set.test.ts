import { describe, expect, test } from "bun:test";
import { importKeySet, isSameSet, selectKey } from "../../src/identity/key-set.ts";
import { createSigner } from "./kit.ts";

const a = (await createSigner("ES256", "a")).publicJwk;
const b = (await createSigner("ES256", "b")).publicJwk;
const rsa = (await createSigner("RS256", "rsa")).publicJwk;

async function setOf(...keys: unknown[]) {
  const imported = await importKeySet({ keys });
  if (!imported.ok) throw new Error(imported.error);
  return imported.value;
}

describe("importKeySet()", () => {
  test("leaves bad keys out and names each, and takes the rest", async () => {
    const { set, leftOut } = await setOf({ kty: "oct", k: "AAAA" }, a, { ...b, use: "enc" });
    expect(set.keys.map((key) => key.kid)).toEqual(["a"]);
    expect(leftOut).toEqual([
      "key 1 of 3 is left out: symmetric",
      "key 3 of 3 is left out: use is not sig",
    ]);
  });

  test("takes a hundred keys, and of 101 none", async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...a, kid: `${index}` }));
    expect((await setOf(...many(100))).set.keys).toHaveLength(100);
    expect(await importKeySet({ keys: many(101) })).toEqual({
      ok: false,
      error: "more than 100 keys",
    });
  });

  test.each([[null], [[]], ["keys"], [{}], [{ keys: {} }], [{ keys: "a" }], [a]])(
    "%j is no JWK Set",
    async (document) => {
      expect(await importKeySet(document)).toEqual({ ok: false, error: "not a JWK Set" });
    },
  );

  test("a set without a usable key is a failure", async () => {
    expect(await importKeySet({ keys: [] })).toEqual({ ok: false, error: "no usable key" });
    expect(await importKeySet({ keys: [{ kty: "oct", k: "AAAA" }] })).toEqual({
      ok: false,
      error: "no usable key; key 1 of 1 is left out: symmetric",
    });
  });
});

describe("isSameSet()", () => {
  test("tells other keys, not another order or other members", async () => {
    const { set } = await setOf(a, b);
    expect(isSameSet(set, (await setOf({ ...b, x5t: "x" }, a)).set)).toBe(true);
    expect(isSameSet(set, (await setOf(a)).set)).toBe(false);
    expect(isSameSet(set, (await setOf(a, { ...b, kid: "c" })).set)).toBe(false);
    expect(isSameSet(set, { ...set, fits: "any" })).toBe(false);
  });
});

describe("selectKey()", () => {
  const ES = "ES256";
  test("by kid and alg, and exactly one must remain", async () => {
    const { set } = await setOf(a, b, rsa);
    expect(selectKey(set, { kid: "a", algorithm: ES }).ok).toBe(true);
    expect(selectKey(set, { kid: undefined, algorithm: "RS256" }).ok).toBe(true);
    expect(selectKey(set, { kid: undefined, algorithm: ES })).toEqual({
      ok: false,
      error: "key_ambiguous",
    });
    expect(selectKey(set, { kid: "c", algorithm: ES })).toEqual({
      ok: false,
      error: "key_unknown",
    });
    expect(selectKey(set, { kid: "A", algorithm: ES })).toEqual({
      ok: false,
      error: "key_unknown",
    });
    expect(selectKey(set, { kid: "rsa", algorithm: ES })).toEqual({
      ok: false,
      error: "key_unfit",
    });
    expect(selectKey(set, { kid: "rsa", algorithm: "PS256" })).toEqual({
      ok: false,
      error: "key_unfit",
    });
    expect(selectKey(set, { kid: undefined, algorithm: "ES384" })).toEqual({
      ok: false,
      error: "key_unknown",
    });
  });

  test("two keys of one kid are told apart by alg alone", async () => {
    const { set } = await setOf(a, { ...rsa, kid: "a" });
    expect(selectKey(set, { kid: "a", algorithm: ES }).ok).toBe(true);
    const twins = (await setOf(a, { ...b, kid: "a" })).set;
    expect(selectKey(twins, { kid: "a", algorithm: ES })).toEqual({
      ok: false,
      error: "key_ambiguous",
    });
  });

  test("a key without kid fits tokens without kid", async () => {
    const { kid: _, ...nameless } = a;
    const { set } = await setOf(nameless);
    expect(selectKey(set, { kid: undefined, algorithm: ES }).ok).toBe(true);
    expect(selectKey(set, { kid: "a", algorithm: ES })).toEqual({
      ok: false,
      error: "key_unknown",
    });
    expect(selectKey({ ...set, fits: "any" }, { kid: "a", algorithm: ES }).ok).toBe(true);
  });

  test.each(["__proto__", "constructor", "../../dev/null", "' OR 1=1 --", ""])(
    "kid %j selects nothing",
    async (kid) => {
      const { set } = await setOf(a);
      expect(selectKey(set, { kid, algorithm: ES })).toEqual({ ok: false, error: "key_unknown" });
    },
  );
});

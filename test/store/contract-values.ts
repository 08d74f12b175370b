/**
 * What every store must do with single values that end by themselves.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";

/** @param use `store` is the one under test, `open` opens its place once more, `at` sets the clock. */
export function testValues(use: {
  store(): Store;
  open(): Promise<Store>;
  at(nowMs: number): void;
}): void {
  const strange = 'Zoë "☃" 😀\n:12:';

  describe("single values", () => {
    test("come back as they were, until they end", async () => {
      const store = use.store();
      await store.put("k", strange, 9_000);
      expect(await store.get("k")).toBe(strange);
      expect(await store.get("other")).toBeUndefined();
      use.at(8_999);
      expect(await store.get("k")).toBe(strange);
      use.at(9_000);
      expect(await store.get("k")).toBeUndefined();
      expect(await store.take("k")).toBeUndefined();
    });

    test("are replaced, longer or shorter", async () => {
      const store = use.store();
      await store.put("k", "one", 5_000);
      await store.put("k", "two", 9_000);
      use.at(6_000);
      expect(await store.get("k")).toBe("two");
      await store.put("k", "", 7_000);
      expect(await store.get("k")).toBe("");
      use.at(7_000);
      expect(await store.get("k")).toBeUndefined();
    });

    test("put with an end that is past are gone", async () => {
      const store = use.store();
      await store.put("k", "one", 5_000);
      await store.put("k", "two", 2_000);
      expect(await store.get("k")).toBeUndefined();
    });

    test("putNew() lets one of many in, and another after its end", async () => {
      const other = await use.open();
      const tries = Array.from({ length: 20 }, (_, at) =>
        (at % 2 === 0 ? other : use.store()).putNew("k", String(at), 5_000),
      );
      const results = await Promise.all(tries);
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await other.get("k")).toBe(String(results.indexOf(true)));
      use.at(5_000);
      expect(await use.store().putNew("k", "late", 9_000)).toBe(true);
    });

    test("replace() changes only what is as expected", async () => {
      const store = use.store();
      await store.put("k", strange, 9_000);
      expect(await store.replace("k", "other", "no", 9_000)).toBe(false);
      expect(await store.replace("k", strange, "yes", 9_000)).toBe(true);
      expect(await store.replace("k", strange, "no", 9_000)).toBe(false);
      expect(await store.get("k")).toBe("yes");
      expect(await store.replace("nothing", "", "no", 9_000)).toBe(false);
      const other = await use.open();
      const tries = Array.from({ length: 10 }, (_, at) =>
        (at % 2 === 0 ? other : store).replace("k", "yes", String(at), 9_000),
      );
      expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
    });

    test("take() gives it to one of many", async () => {
      const other = await use.open();
      await use.store().put("k", strange, 9_000);
      const tries = Array.from({ length: 20 }, (_, at) =>
        (at % 2 === 0 ? other : use.store()).take("k"),
      );
      const taken = (await Promise.all(tries)).filter((one) => one !== undefined);
      expect(taken).toEqual([strange]);
      expect(await other.get("k")).toBeUndefined();
    });

    test("remove() is done, whether there was one or not", async () => {
      const store = use.store();
      await store.put("k", "one", 9_000);
      await store.remove("k");
      await store.remove("k");
      expect(await store.get("k")).toBeUndefined();
      expect(await store.putNew("k", "two", 9_000)).toBe(true);
    });

    test("may be as large as is said, and no larger", async () => {
      const store = use.store();
      const [key, value] = ["k".repeat(256), "é".repeat(32 * 1024)];
      await store.put(key, value, 9_000);
      expect(await store.get(key)).toBe(value);
      const codeOf = (work: Promise<unknown>) =>
        work.then(
          () => "done",
          (fault) => fault.code,
        );
      expect(await codeOf(store.put("k", `${value}x`, 9_000))).toBe("internal_fault");
      expect(await codeOf(store.putNew(`${key}k`, "", 9_000))).toBe("internal_fault");
      expect(await store.get(`${key}k`)).toBeUndefined();
    });

    test("survive a restart", async () => {
      await use.store().put("k", strange, 9_000);
      await use.store().close();
      expect(await (await use.open()).get("k")).toBe(strange);
    });
  });
}

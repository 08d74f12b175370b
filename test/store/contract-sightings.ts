/**
 * What every store must do with what was seen of tokens and sessions.
 *
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Sighting, Store } from "../../src/store/store.ts";
import { sighting, trace } from "./sighting.ts";

/** @param use `store` is the one under test; `open` opens its place once more. */
export function testSightings(use: { store(): Store; open(): Promise<Store> }): void {
  const idsOf = (found: readonly Sighting[]) => found.map(({ id }) => id);
  const all = { limit: 10_000 };

  describe("sightings", () => {
    test("come back as they were", async () => {
      const full = sighting("a", {
        client: "app",
        jti: "7",
        issuedAtMs: 500,
        subject: 'Zoë "☃" 😀\n/',
        addresses: [
          trace("10.0.0.7", { country: "DE", location: { latitude: 52.52, longitude: -13.405 } }),
        ],
        lint: ["jti_missing", "lifetime_long"],
        unusual: [{ signal: "new_device", policy: "unusual-activity", atMs: 900 }],
      });
      const bare = sighting("b", { lastMs: 900, addresses: [], devices: [], routes: [] });
      await use.store().noteSightings([full, bare]);
      expect(await use.store().sightings(all)).toEqual([full, bare]);
      expect(await use.store().sightings({ id: "a", limit: 1 })).toEqual([full]);
      expect(await use.store().sightings({ id: "nobody", limit: 1 })).toEqual([]);
    });

    test("of one token add up, whoever brings them", async () => {
      const other = await use.open();
      const parts = Array.from({ length: 40 }, (_, at) =>
        sighting("a", { firstMs: 1_000 + at, lastMs: 1_000 + at, requests: 2, minuteRequests: 2 }),
      );
      await Promise.all(
        parts.map((part, at) => (at % 2 === 0 ? other : use.store()).noteSightings([part, part])),
      );
      expect(await other.sightings(all)).toMatchObject([
        {
          firstMs: 1_000,
          lastMs: 1_039,
          requests: 160,
          minuteRequests: 160,
          addresses: [{ name: "10.0.0.7", requests: 80 }],
        },
      ]);
    });

    test("keep the latest of more places, devices and signals than they hold", async () => {
      const traces = (most: number) =>
        Array.from({ length: most }, (_, at) => trace(`n${at}`, { lastMs: 2_000 + at }));
      const unusual = Array.from({ length: 20 }, (_, at) => {
        return { signal: `s${at}`, policy: "p", atMs: 2_000 + at };
      });
      const lint = Array.from({ length: 20 }, (_, at) => `lint_${10 + at}`);
      const [addresses, devices, routes] = [traces(40), traces(20), traces(40)];
      const added = sighting("a", { lastMs: 3_000, addresses, devices, routes, unusual, lint });
      await use.store().noteSightings([sighting("a"), added]);
      const [found] = await use.store().sightings(all);
      expect(found?.addresses.map(({ name }) => name)).toEqual(
        Array.from({ length: 32 }, (_, at) => `n${39 - at}`),
      );
      expect(found?.devices).toHaveLength(16);
      expect(found?.routes).toHaveLength(32);
      expect(found?.unusual[0]?.signal).toBe("s19");
      expect(found?.unusual).toHaveLength(16);
      expect(found?.lint).toEqual(lint.slice(0, 16));
    });

    test.each([
      ["nothing in particular", {}, ["e", "d", "c", "b", "a"]],
      ["subject", { subject: "alice" }, ["e", "b", "a"]],
      ["issuer", { issuer: "entra" }, ["e", "d"]],
      ["subject and issuer", { subject: "alice", issuer: "entra" }, ["e"]],
      ["kind", { kind: "session" }, ["c"]],
      ["the other kind", { kind: "token" }, ["e", "d", "b", "a"]],
      ["being active", { activeAtMs: 60_000 }, ["d"]],
      ["something unusual", { having: "unusual" }, ["b"]],
      ["something unhealthy", { having: "lint" }, ["d", "a"]],
      ["several at once", { having: "lint", subject: "bob" }, ["d"]],
      ["several that do not meet", { id: "a", subject: "bob" }, []],
      ["what nobody has", { subject: "' OR 1=1 --" }, []],
    ] as const)("are found by %s", async (_, query, ids) => {
      const unusual = [{ signal: "s", policy: "p", atMs: 1_000 }];
      await use
        .store()
        .noteSightings([
          sighting("a", { lastMs: 1_001, lint: ["jti_missing"] }),
          sighting("b", { lastMs: 1_002, unusual }),
          sighting("c", { lastMs: 1_003, kind: "session", subject: "carol" }),
          sighting("d", { lastMs: 1_004, subject: "bob", issuer: "entra", lint: ["x"] }),
          sighting("e", { lastMs: 1_005, issuer: "entra" }),
          sighting("d", { lastMs: 1_003, subject: "bob", issuer: "entra", expiresAtMs: 60_001 }),
        ]);
      expect(idsOf(await use.store().sightings({ ...query, limit: 10 }))).toEqual([...ids]);
      expect(idsOf(await use.store().sightings({ ...query, limit: 1 }))).toEqual(ids.slice(0, 1));
    });

    test("are all listed, however many there are", async () => {
      const many = Array.from({ length: 900 }, (_, at) => sighting(`t${at}`, { lastMs: at }));
      await use.store().noteSightings(many.slice(0, 450));
      await use.store().noteSightings(many.slice(450));
      const found = idsOf(await use.store().sightings(all));
      expect(found).toEqual(many.map(({ id }) => id).reverse());
    });

    test("are forgotten once they have expired before a time", async () => {
      const many = Array.from({ length: 600 }, (_, at) =>
        sighting(`t${at}`, { expiresAtMs: 50_000 + at, subject: `s${at % 3}` }),
      );
      await use.store().noteSightings(many);
      expect(await use.store().sweepSightings(50_599)).toBe(599);
      expect(idsOf(await use.store().sightings(all))).toEqual(["t599"]);
      expect(await use.store().sightings({ subject: "s0", limit: 10 })).toEqual([]);
      expect(await use.store().sweepSightings(50_599)).toBe(0);
    });

    test("with half a character in a claim are no fault", async () => {
      const odd = sighting("a", { subject: "x\ud800y", jti: "\udfff" });
      await use.store().noteSightings([odd]);
      await use.store().noteSightings([odd]);
      expect(await use.store().sightings(all)).toMatchObject([{ id: "a", requests: 2 }]);
    });

    test("survive a restart; in no number are no fault", async () => {
      await use.store().noteSightings([sighting("a")]);
      await use.store().noteSightings([]);
      await use.store().close();
      expect(await (await use.open()).sightings(all)).toEqual([sighting("a")]);
    });
  });
}

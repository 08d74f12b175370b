import { afterAll, beforeAll, expect, test } from "bun:test";
import { openRevocations } from "../../src/ledger/revocations.ts";
import { openSightings } from "../../src/ledger/sightings.ts";
import { openTokenHash } from "../../src/ledger/token-hash.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { describeWith } from "../support/needs.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { NOW_MS, revoked, tokenOf, until } from "./kit.ts";

describeWith("redis-server", "gates on one Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function openGate(prefix: string) {
    const config = { kind: "redis", url: server.url, prefix } as const;
    const now = () => NOW_MS;
    const store = await openRedisStore(config, { now });
    const tokenHash = await openTokenHash(store, config);
    const log = { event() {} };
    const deps = { store, tokenHash, now, maxStalenessMs: () => 30_000, log };
    const revocations = await openRevocations(deps);
    const { signedOutAt } = revocations;
    const sightings = openSightings({ ...deps, signedOutAt, retainMs: () => 0 });
    return {
      store,
      tokenHash,
      revocations,
      sightings,
      async [Symbol.asyncDispose]() {
        await sightings.close();
        await revocations.close();
        await store.close();
      },
    };
  }

  test("count a token together, and each has what the others saw soon", async () => {
    await using here = await openGate("s:");
    await using there = await openGate("s:");
    const device = { browser: "firefox", platform: "windows", mobile: false };
    const seenFrom = (ip: string) => ({
      token: tokenOf(),
      client: { ip, device },
      route: "api",
      denied: false,
    });
    here.sightings.note(seenFrom("10.0.0.1"));
    expect(await there.sightings.history(tokenOf())).toMatchObject({ requests: 0 });
    await here.sightings.flush();
    there.sightings.note(seenFrom("10.0.0.2"));
    there.sightings.note(seenFrom("10.0.0.2"));
    const isWhole = async ({ sightings }: Pick<typeof here, "sightings">) =>
      (await sightings.history(tokenOf())).requests === 3;
    await until(() => isWhole(here));
    await until(() => isWhole(there));
    const { addresses } = await here.sightings.history(tokenOf());
    expect(addresses.map(({ name, requests }) => [name, requests]).sort()).toEqual([
      ["10.0.0.1", 1],
      ["10.0.0.2", 2],
    ]);
    const [stored] = await here.sightings.list({ subject: "alice", limit: 10 });
    expect(stored).toMatchObject({ id: here.tokenHash.of(tokenOf()), requests: 3 });
  });

  test("know a token by the same hash, and its revocation soon", async () => {
    await using here = await openGate("a:");
    await using there = await openGate("a:");
    const { id: _, ...token } = tokenOf();
    const value = here.tokenHash.of(token) ?? "";
    expect(there.tokenHash.of(tokenOf())).toBe(value);
    const { issuer: _issuer, ...revocation } = revoked({ kind: "token", value });
    await here.revocations.revoke(revocation);
    await until(() => there.revocations.check(token) !== undefined);
    await there.revocations.unrevoke("token", undefined, value);
    await until(() => here.revocations.check(token) === undefined);
  });

  test("put back what a Redis that comes back empty has lost, and its key", async () => {
    await using gate = await openGate("b:");
    const { id: _, ...token } = tokenOf();
    const value = gate.tokenHash.of(token) ?? "";
    const { issuer: _issuer, ...revocation } = revoked({ kind: "token", value });
    await gate.revocations.revoke(revocation);
    await server.kill();
    await server.restart();
    await until(async () => {
      const stored = await gate.store.revocations(NOW_MS).catch(() => []);
      return stored.length === 1;
    });
    expect(gate.revocations.check(token)).toBeDefined();
    await using next = await openGate("b:");
    expect(next.tokenHash.of(tokenOf())).toBe(value);
    expect(next.revocations.check(token)).toBeDefined();
  }, 20_000);
});

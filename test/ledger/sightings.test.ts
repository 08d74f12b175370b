import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GateError } from "../../src/errors.ts";
import { openSightingSweeper } from "../../src/ledger/sighting-sweep.ts";
import { openSightings, type SightingDependencies } from "../../src/ledger/sightings.ts";
import { mergeSightings } from "../../src/store/merge-sighting.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Sighting } from "../../src/store/store.ts";
import type { Client, Token } from "../../src/types.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { ISSUER, NOW, NOW_MS, tokenOf, until } from "./kit.ts";

const AWAY = new GateError("store_unavailable", "it is away");

/** A store in memory that can be away, slow, or count twice what it is given. */
function memoryStore() {
  const kept = new Map<string, Sighting>();
  const state = {
    isAway: false,
    /** What is asked waits for this. */
    held: undefined as Promise<void> | undefined,
    /** Batches wait for this besides. */
    heldBatch: undefined as Promise<void> | undefined,
    batches: [] as number[],
    atOnce: 0,
    mostAtOnce: 0,
    reads: 0,
    sweptBeforeMs: [] as number[],
  };
  async function answer<T>(act: () => T): Promise<T> {
    await state.held;
    if (state.isAway) throw AWAY;
    return act();
  }
  const store: SightingDependencies["store"] = {
    async noteSightings(batch) {
      state.atOnce += 1;
      state.mostAtOnce = Math.max(state.mostAtOnce, state.atOnce);
      const copies = structuredClone(batch);
      await state.heldBatch;
      await answer(() => {
        state.batches.push(copies.length);
        for (const one of copies) kept.set(one.id, mergeSightings(kept.get(one.id), one));
      }).finally(() => {
        state.atOnce -= 1;
      });
    },
    sightings: ({ id, limit }) =>
      answer(() => {
        state.reads += 1;
        return [...kept.values()]
          .filter((one) => id === undefined || one.id === id)
          .slice(0, limit);
      }),
    sweepSightings: (beforeMs) => answer(() => state.sweptBeforeMs.push(beforeMs)),
  };
  return { store, state, kept };
}

type Memory = ReturnType<typeof memoryStore>;

function openForTest(memory: Memory, more: Partial<SightingDependencies> = {}) {
  const clock = { nowMs: NOW_MS, uptimeMs: 1_000 };
  const events: { event: string; fields?: object }[] = [];
  const sightings = openSightings({
    store: memory.store,
    tokenHash: { of: ({ digest }) => digest },
    signedOutAt: () => undefined,
    now: () => clock.nowMs,
    uptimeMs: () => clock.uptimeMs,
    retainMs: () => 0,
    log: {
      event: (_, event, __, fields) => void events.push({ event, ...(fields && { fields }) }),
    },
    ...more,
  });
  const note = (
    token: Token = tokenOf(),
    more: Partial<Parameters<typeof sightings.note>[0]> = {},
  ) => sightings.note({ token, client: clientOf(), route: "api", denied: false, ...more });
  return {
    sightings,
    note,
    clock,
    events,
    later(ms: number) {
      clock.nowMs += ms;
      clock.uptimeMs += ms;
    },
    async [Symbol.asyncDispose]() {
      memory.state.isAway = false;
      memory.state.held = undefined;
      await sightings.close();
    },
  };
}

function clientOf(more: Partial<Client> = {}): Client {
  const device = { browser: "firefox", platform: "windows", mobile: false };
  return { ip: "192.0.2.1", device, ...more };
}

const trace = (name: string, requests: number, firstMs = NOW_MS, lastMs = firstMs) => ({
  name,
  firstMs,
  lastMs,
  requests,
});

const numbered = (count: number) =>
  Array.from({ length: count }, (_, at) => tokenOf({ id: `t${at}`, digest: `d${at}` }));

describe("what is noted", () => {
  test("is stored whole, and never the token", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    const token = tokenOf({ claims: { azp: "portal", client_id: "other" } });
    const place = { country: "NZ", location: { latitude: -41, longitude: 175 } };
    gate.note(token, { client: clientOf(place) });
    gate.later(30_000);
    gate.note(token, { denied: true, route: "admin" });
    gate.later(60_000);
    const curl = { browser: "curl", platform: "unknown", mobile: false };
    gate.note(token, { denied: true, client: clientOf({ ip: "2001:db8::1", device: curl }) });
    await gate.sightings.flush();
    const [first, second, third] = [NOW_MS, NOW_MS + 30_000, NOW_MS + 90_000];
    expect([...memory.kept.values()]).toEqual([
      {
        id: "d1",
        kind: "token",
        issuer: ISSUER,
        subject: "alice",
        client: "portal",
        jti: "t1",
        issuedAtMs: (NOW - 60) * 1_000,
        expiresAtMs: (NOW + 3_600) * 1_000,
        firstMs: first,
        lastMs: third,
        requests: 3,
        denials: 2,
        deniedInRow: 2,
        minute: Math.floor(third / 60_000),
        minuteRequests: 1,
        busiestMinute: 2,
        addresses: [
          trace("2001:db8::1", 1, third),
          { ...trace("192.0.2.1", 2, first, second), ...place },
        ],
        devices: [
          trace("curl on unknown", 1, third),
          trace("firefox on windows", 2, first, second),
        ],
        routes: [trace("api", 2, first, third), trace("admin", 1, second)],
        lint: [],
        unusual: [],
      },
    ]);
  });

  test("of a session goes by its public id, and keeps its latest end", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    gate.note(tokenOf({ session: "s1" }));
    gate.note(tokenOf({ session: "s1", id: "t2", digest: "d2", expiresAt: NOW + 9_000 }));
    await gate.sightings.flush();
    expect([...memory.kept.values()]).toMatchObject([
      { id: "s1", kind: "session", requests: 2, expiresAtMs: (NOW + 9_000) * 1_000, lint: [] },
    ]);
    expect(memory.kept.get("s1")).not.toHaveProperty("jti");
  });

  test("of a token that was made up to try rules on is not kept", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    const { digest: _, ...made } = tokenOf();
    gate.note(made);
    await gate.sightings.flush();
    expect(memory.kept.size).toBe(0);
    expect(await gate.sightings.history(made)).toMatchObject({ requests: 0, firstMs: NOW_MS });
  });

  test("and unusual keeps each signal of a policy once a batch, the latest first", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    const one = { policy: "unusual-activity", signal: "impossible_travel" };
    const other = { policy: "mine", signal: "odd" };
    gate.note(tokenOf(), { unusual: [one] });
    gate.note(tokenOf(), { unusual: [other] });
    gate.later(5);
    gate.note(tokenOf(), { unusual: [one] });
    await gate.sightings.flush();
    expect(memory.kept.get("d1")?.unusual).toEqual([
      { ...one, atMs: NOW_MS + 5 },
      { ...other, atMs: NOW_MS },
    ]);
  });

  test("of more addresses, devices and routes than are kept leaves out the oldest", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    for (let at = 0; at < 40; at += 1) {
      const device = { browser: `b${at}`, platform: "linux", mobile: false };
      gate.note(tokenOf(), { client: clientOf({ ip: `10.0.0.${at}`, device }), route: `r${at}` });
      gate.later(1);
    }
    await gate.sightings.flush();
    const { addresses = [], devices = [], routes = [] } = memory.kept.get("d1") ?? {};
    expect(addresses.map(({ name }) => name)).toEqual(
      Array.from({ length: 32 }, (_, at) => `10.0.0.${39 - at}`),
    );
    expect(devices).toHaveLength(16);
    expect(devices[0]?.name).toBe("b39 on linux");
    expect(routes).toHaveLength(32);
  });

  test("goes in batches of few, one after the other", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    for (const token of numbered(1_000)) gate.note(token);
    await Promise.all([gate.sightings.flush(), gate.sightings.flush()]);
    expect(memory.kept.size).toBe(1_000);
    expect(Math.max(...memory.state.batches)).toBeLessThanOrEqual(200);
    expect(memory.state.mostAtOnce).toBe(1);
  });

  test("is stored by itself within about a second", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    gate.note();
    expect(memory.kept.size).toBe(0);
    await until(() => memory.kept.size === 1);
  });

  test("is listed though it is not stored yet", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    gate.note();
    expect(await gate.sightings.list({ limit: 10 })).toMatchObject([{ id: "d1", requests: 1 }]);
  });

  test("is read back the same from SQLite", async () => {
    await using folder = await tempFolder();
    const store = await openSqliteStore(`${folder.path}/claimgate.db`, { now: () => NOW_MS });
    const memory = memoryStore();
    await using gate = openForTest(memory, { store });
    await using other = openForTest(memory, { store });
    gate.note(tokenOf(), { unusual: [{ policy: "p", signal: "odd" }] });
    await gate.sightings.flush();
    other.note(tokenOf({ id: "t2", digest: "d2", subject: "bob" }));
    other.note();
    expect(await other.sightings.list({ subject: "alice", limit: 10 })).toMatchObject([
      { id: "d1", requests: 2, addresses: [{ requests: 2 }], unusual: [{ signal: "odd" }] },
    ]);
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 2 });
    await Promise.all([gate.sightings.close(), other.sightings.close()]);
    await store.close();
  });
});

describe("a history", () => {
  test("of a token never seen begins now, and is empty", async () => {
    await using gate = openForTest(memoryStore());
    expect(await gate.sightings.history(tokenOf())).toEqual({
      firstMs: NOW_MS,
      lastMs: NOW_MS,
      requests: 0,
      denials: 0,
      deniedInRow: 0,
      lastMinute: 0,
      busiestMinute: 0,
      addresses: [],
      devices: [],
    });
  });

  test("has what was stored before, and what is not stored yet", async () => {
    const memory = memoryStore();
    {
      await using before = openForTest(memory);
      before.note(tokenOf(), { client: clientOf({ ip: "10.0.0.1", country: "NZ" }) });
    }
    await using gate = openForTest(memory);
    gate.note();
    gate.note(tokenOf(), { denied: true });
    const expected = {
      firstMs: NOW_MS,
      lastMs: NOW_MS,
      requests: 3,
      denials: 1,
      deniedInRow: 1,
      lastMinute: 3,
      busiestMinute: 0,
      addresses: [trace("192.0.2.1", 2), { ...trace("10.0.0.1", 1), country: "NZ" }],
      devices: [trace("firefox on windows", 3)],
    };
    expect(await gate.sightings.history(tokenOf())).toEqual(expected);
    await gate.sightings.flush();
    expect(await gate.sightings.history(tokenOf())).toEqual(expected);
    expect(memory.state.reads).toBe(1);
  });

  test("does not change in the hands of who has it", async () => {
    await using gate = openForTest(memoryStore());
    gate.note();
    const history = await gate.sightings.history(tokenOf());
    gate.note();
    expect(history).toMatchObject({ requests: 1, addresses: [{ requests: 1 }] });
  });

  test("has what other gates saw, within a second or so", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    await using other = openForTest(memory);
    gate.note();
    await gate.sightings.history(tokenOf());
    await gate.sightings.flush();
    other.note(tokenOf(), { client: clientOf({ ip: "10.0.0.1" }) });
    await other.sightings.flush();
    gate.note();
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 2 });
    gate.later(1_001);
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 3 });
    await gate.sightings.flush();
    gate.later(1_001);
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 3 });
  });

  test("is looked up once for all who ask at a time", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    const all = Array.from({ length: 20 }, () => gate.sightings.history(tokenOf()));
    await Promise.all(all);
    expect(memory.state.reads).toBe(1);
  });

  test("counts no part twice that is on its way while it is read", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    gate.note();
    const held = Promise.withResolvers<void>();
    memory.state.heldBatch = held.promise;
    const flushing = gate.sightings.flush();
    await until(() => memory.state.atOnce === 1);
    gate.note();
    const asking = gate.sightings.history(tokenOf());
    // Others that are not on their way need not wait.
    await gate.sightings.history(tokenOf({ digest: "d2" }));
    held.resolve();
    await flushing;
    expect(await asking).toMatchObject({ requests: 2 });
  });

  test("is a fault where it was never known and the store does not answer", async () => {
    const memory = memoryStore();
    const limits = { entries: 100, answerMs: 20, closeMs: 1_000 };
    await using gate = openForTest(memory, { limits });
    memory.state.isAway = true;
    const fault = expect.objectContaining({ code: "store_unavailable" });
    expect(gate.sightings.history(tokenOf())).rejects.toEqual(fault);
    memory.state.isAway = false;
    memory.state.held = new Promise(() => undefined);
    expect(gate.sightings.history(tokenOf({ digest: "d2" }))).rejects.toEqual(fault);
    memory.state.held = undefined;
  });

  test("known here will do for 30 s without a store, and not for longer", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    gate.note();
    await gate.sightings.history(tokenOf());
    memory.state.isAway = true;
    gate.later(29_000);
    gate.note();
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 2 });
    gate.later(2_000);
    expect(gate.sightings.history(tokenOf())).rejects.toMatchObject({ code: "store_unavailable" });
    memory.state.isAway = false;
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ requests: 2 });
  });

  test("says when its owner signed out", async () => {
    await using gate = openForTest(memoryStore(), { signedOutAt: () => NOW_MS - 5 });
    gate.note();
    expect(await gate.sightings.history(tokenOf())).toMatchObject({ signedOutMs: NOW_MS - 5 });
  });
});

describe("a store that is away", () => {
  test("makes nobody wait, and has all once it is back", async () => {
    const memory = memoryStore();
    await using gate = openForTest(memory);
    memory.state.isAway = true;
    for (let round = 0; round < 3; round += 1) {
      gate.note();
      expect(gate.sightings.flush()).rejects.toBe(AWAY);
      await gate.sightings.flush().catch(() => undefined);
    }
    expect(gate.events.map(({ event }) => event)).toEqual(["sightings_unsaved"]);
    memory.state.isAway = false;
    await gate.sightings.flush();
    expect(memory.kept.get("d1")).toMatchObject({ requests: 3, addresses: [{ requests: 3 }] });
    expect(gate.events.map(({ event }) => event)).toEqual([
      "sightings_unsaved",
      "sightings_stored",
    ]);
  });

  test("costs no more memory than its bound, and what is lost is told", async () => {
    const memory = memoryStore();
    const limits = { entries: 100, answerMs: 1_000, closeMs: 1_000 };
    await using gate = openForTest(memory, { limits });
    memory.state.isAway = true;
    const tokens = numbered(250);
    for (const token of tokens) gate.note(token);
    await gate.sightings.flush().catch(() => undefined);
    for (const token of tokens.slice(0, 50)) gate.note(token);
    memory.state.isAway = false;
    await gate.sightings.flush();
    expect(memory.kept.size).toBe(100);
    expect(gate.events.filter(({ event }) => event === "sightings_lost")).not.toEqual([]);
  });

  test("that answers loses nothing by the bound", async () => {
    const memory = memoryStore();
    const limits = { entries: 100, answerMs: 1_000, closeMs: 1_000 };
    await using gate = openForTest(memory, { limits });
    for (const token of numbered(1_000)) {
      gate.note(token);
      if (token.id?.endsWith("9")) await gate.sightings.flush();
    }
    await gate.sightings.flush();
    expect(memory.kept.size).toBe(1_000);
    expect(gate.events).toEqual([]);
  });

  test("at the end is waited for, but not for ever", async () => {
    const memory = memoryStore();
    const limits = { entries: 100, answerMs: 20, closeMs: 20 };
    const gate = openForTest(memory, { limits });
    gate.note();
    memory.state.held = new Promise(() => undefined);
    await gate.sightings.close();
    expect(gate.events.map(({ event }) => event)).toEqual(["sightings_lost"]);
  });

  test("at the end gets all if it comes back in time", async () => {
    const memory = memoryStore();
    const gate = openForTest(memory);
    gate.note();
    memory.state.isAway = true;
    const closing = gate.sightings.close();
    await until(() => gate.events.length > 0);
    memory.state.isAway = false;
    await closing;
    expect(memory.kept.size).toBe(1);
    expect(gate.events.map(({ event }) => event)).toEqual([
      "sightings_unsaved",
      "sightings_stored",
    ]);
  });

  test("at the end has what was noted last", async () => {
    const memory = memoryStore();
    const gate = openForTest(memory);
    gate.note();
    await gate.sightings.close();
    expect(memory.kept.size).toBe(1);
  });
});

describe("parts in batches", () => {
  const step = fc.record({
    ms: fc.integer({ min: 0, max: 40_000 }),
    ip: fc.integer({ min: 0, max: 5 }),
    browser: fc.constantFrom("firefox", "chrome", "curl"),
    denied: fc.boolean(),
    gate: fc.integer({ min: 0, max: 2 }),
    act: fc.constantFrom("nothing", "flush", "fail", "history"),
  });

  test("make the whole, however they are cut, whatever fails between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const inParts = memoryStore();
        const inOne = memoryStore();
        const parts = openForTest(inParts);
        const one = openForTest(inOne);
        for (const { ms, ip, browser, denied, act } of steps) {
          const device = { browser, platform: "linux", mobile: false };
          const seen = { client: clientOf({ ip: `10.0.0.${ip}`, device }), denied };
          for (const gate of [parts, one]) {
            gate.later(ms);
            gate.note(tokenOf(), seen);
          }
          inParts.state.isAway = act === "fail";
          if (act === "flush" || act === "fail") {
            await parts.sightings.flush().catch(() => undefined);
          }
          if (act === "history") await parts.sightings.history(tokenOf());
        }
        inParts.state.isAway = false;
        const whole = await one.sightings.history(tokenOf());
        const partly = await parts.sightings.history(tokenOf());
        expect(partly).toEqual(whole);
        await Promise.all([parts.sightings.close(), one.sightings.close()]);
        expect(inParts.kept.get("d1")).toEqual(inOne.kept.get("d1"));
      }),
      { numRuns: 60 },
    );
  });

  test("of several gates add up in any order in which they come", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
        async (steps, order) => {
          const shared = memoryStore();
          const inOne = memoryStore();
          const gates = order.map(() => openForTest(shared));
          const one = openForTest(inOne);
          for (const { ms, ip, browser, denied, gate: at } of steps) {
            const device = { browser, platform: "linux", mobile: false };
            const seen = { client: clientOf({ ip: `10.0.0.${ip}`, device }), denied };
            for (const gate of [...gates, one]) gate.later(ms);
            for (const gate of [gates[at], one]) gate?.note(tokenOf(), seen);
          }
          for (const at of order) await gates[at]?.sightings.close();
          await one.sightings.close();
          // Denials in a row and the busiest minute depend on who came in between.
          const {
            deniedInRow: _r,
            busiestMinute: _b,
            minuteRequests: _m,
            ...sum
          } = shared.kept.get("d1") ?? ({} as Sighting);
          const byName = (list: readonly { name: string }[] = []) =>
            [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
          const {
            deniedInRow: _r2,
            busiestMinute: _b2,
            minuteRequests: _m2,
            ...whole
          } = inOne.kept.get("d1") ?? ({} as Sighting);
          const sorted = (sighting: Partial<Sighting>) => ({
            ...sighting,
            addresses: byName(sighting.addresses),
            devices: byName(sighting.devices),
          });
          expect(sorted(sum)).toEqual(sorted(whole));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("the sweep", () => {
  test("forgets what expired longer ago than it is kept, again and again", async () => {
    const memory = memoryStore();
    const forgotten: number[] = [];
    const sweeper = openSightingSweeper({
      store: memory.store,
      now: () => NOW_MS,
      retainMs: () => 5_000,
      log: { event: () => undefined },
      forget: (beforeMs) => void forgotten.push(beforeMs),
      firstMs: 1,
      everyMs: 1,
    });
    await until(() => memory.state.sweptBeforeMs.length >= 2);
    sweeper.close();
    expect(memory.state.sweptBeforeMs.slice(0, 2)).toEqual([NOW_MS - 5_000, NOW_MS - 5_000]);
    expect(forgotten[0]).toBeLessThan(NOW_MS);
  });

  test("tells of a row of failures once", async () => {
    const memory = memoryStore();
    memory.state.isAway = true;
    const events: string[] = [];
    let sweeps = 0;
    const sweeper = openSightingSweeper({
      store: memory.store,
      now: () => NOW_MS,
      retainMs: () => 5_000,
      log: { event: (_, event) => void events.push(event) },
      forget: () => {
        sweeps += 1;
      },
      firstMs: 1,
      everyMs: 1,
    });
    await until(() => sweeps >= 3);
    sweeper.close();
    expect(events).toEqual(["sightings_unswept"]);
  });
});

test("a token whose issuer writes fractions of seconds keeps nobody's sightings from the store", async () => {
  await using folder = await tempFolder();
  const store = await openSqliteStore(`${folder.path}/claimgate.db`, { now: () => NOW_MS });
  try {
    const { sightings, note } = openForTest(memoryStore(), { store });
    note(tokenOf({ digest: "a", expiresAt: NOW + 900.000_123_4, issuedAt: NOW - 0.000_123_4 }));
    note(tokenOf({ digest: "b", subject: "bob" }));
    await sightings.flush();
    const found = await store.sightings({ limit: 10 });
    expect(found.map(({ subject }) => subject).sort()).toEqual(["alice", "bob"]);
    expect(found.every(({ expiresAtMs }) => Number.isInteger(expiresAtMs))).toBe(true);
    await sightings.close();
  } finally {
    await store.close();
  }
});

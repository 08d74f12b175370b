import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { inspectStore } from "../../src/store/inspect.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import type { Store } from "../../src/store/store.ts";
import { makeCertificate } from "../support/certificate.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { eventually, faultOf, record, revocation, testStore } from "./contract.ts";
import { sighting } from "./sighting.ts";

const now = () => 2_000;

function openAt(url: string, prefix = "cg:"): Promise<Store> {
  return openRedisStore({ kind: "redis", url, prefix }, { now });
}

function take(store: Store, ...wanted: readonly (readonly [string, number, number])[]) {
  return store.takeTokens?.(
    wanted.map(([key, limit, perMs]) => ({ key, bucket: { limit, perMs } })),
  );
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "no fault",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

/** A way to the server that can be cut as a broken network is: nothing comes through, nobody is told. */
function startWire(port: number) {
  type Side = { other: Bun.Socket<Side> | undefined; early: Buffer[]; isCut: boolean };
  const sides: Side[] = [];
  const pass = {
    data(socket: Bun.Socket<Side>, bytes: Buffer) {
      const { other, early, isCut } = socket.data;
      if (isCut) return;
      if (other === undefined) early.push(Buffer.from(bytes));
      else other.write(bytes);
    },
    close: (socket: Bun.Socket<Side>) => void socket.data.other?.end(),
  };
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...pass,
      open(socket) {
        const side: Side = { other: undefined, early: [], isCut: false };
        socket.data = side;
        sides.push(side);
        const back: Side = { other: socket, early: [], isCut: false };
        void Bun.connect<Side>({
          hostname: "127.0.0.1",
          port,
          data: back,
          socket: {
            ...pass,
            open(other) {
              side.other = other;
              for (const bytes of side.early) other.write(bytes);
            },
            data(other, bytes) {
              if (!side.isCut) pass.data(other, bytes);
            },
          },
        });
      },
    },
  });
  return {
    url: `redis://127.0.0.1:${listener.port}`,
    connections: () => sides.length,
    /** @returns How many there were. */
    cut(): number {
      for (const side of sides) side.isCut = true;
      return sides.length;
    },
    [Symbol.dispose]: () => void listener.stop(true),
  };
}

describeWith("redis-server", "the contract on Redis", () => {
  let server: RedisServer;
  let places = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  testStore(async () => {
    const prefix = `cg${++places}:`;
    return {
      open: (clock) => openRedisStore({ kind: "redis", url: server.url, prefix }, { now: clock }),
      async [Symbol.asyncDispose]() {},
    };
  });
});

describeWith("redis-server", "Redis, one server for all", () => {
  let server: RedisServer;
  let stores: Store[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    stores = [];
    await server.ask("FLUSHALL");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function open(prefix?: string): Promise<Store> {
    const store = await openAt(server.url, prefix);
    stores.push(store);
    return store;
  }

  test("every key has the prefix, and an end or a bound", async () => {
    const store = await open("mine:");
    await store.append([
      record("a", 1, { requestId: "r", subject: "s", route: "o", code: "c", denied: true }),
      record("a", 2, { kind: "act" }),
    ]);
    await store.revoke(revocation());
    await take(store, ["alice", 3, 60_000]);
    const unusual = [{ signal: "s", policy: "p", atMs: 1_000 }];
    await store.noteSightings([sighting("a", { kind: "session", lint: ["x"], unusual })]);
    await store.put("k", "v", 9_000);
    const keys = (await server.ask("KEYS", "*")) as string[];
    expect(keys.filter((key) => !key.startsWith("mine:"))).toEqual([]);
    const endless = [];
    for (const key of keys) if ((await server.ask("PTTL", key)) === -1) endless.push(key);
    expect(endless.sort()).toEqual(["mine:meta", "mine:revoked", "mine:revoked:until"]);
    expect(keys).toHaveLength(endless.length + 1 + 1 + 1 + 7 + 1 + 7 + 2);
  });

  test("two prefixes know nothing of each other", async () => {
    const one = await open("one:");
    const other = await open("other:");
    await one.revoke(revocation());
    await one.append([record("a", 1)]);
    expect(await other.revocations(2_000)).toEqual([]);
    expect(await other.find({ limit: 5 })).toEqual([]);
    expect(await other.revision()).not.toBe(await one.revision());
  });

  test("an emptied one is another one", async () => {
    const store = await open();
    const epochOf = async () => (await store.revision()).replace(/\.\d+$/, "");
    const before = await epochOf();
    await server.ask("FLUSHALL");
    const after = await epochOf();
    expect(after).not.toBe(before);
    expect(await epochOf()).toBe(after);
  });

  test("scripts that the server has lost are sent again", async () => {
    const store = await open();
    await server.ask("SCRIPT", "FLUSH");
    await store.revoke(revocation());
    expect(await store.revocations(2_000)).toHaveLength(1);
  });

  test("a newer layout is refused, untouched", async () => {
    await server.ask("HSET", "cg:meta", "version", "99", "id", "x", "revision", "5");
    expect(await messageOf(openAt(server.url))).toContain("newer than this claimgate knows");
    expect(await faultOf(openAt(server.url))).toBe("store_damaged");
    expect(await server.ask("HGET", "cg:meta", "revision")).toBe("5");
    expect(await server.ask("KEYS", "*")).toEqual(["cg:meta"]);
  });

  test("another program's keys are refused", async () => {
    await server.ask("SET", "cg:meta", "theirs");
    expect(await faultOf(openAt(server.url))).toBe("store_damaged");
    expect(await server.ask("GET", "cg:meta")).toBe("theirs");
  });

  test("a revocation that has gone missing is a fault, not a list without it", async () => {
    const store = await open();
    await store.revoke(revocation());
    await server.ask("DEL", "cg:revoked");
    expect(await faultOf(store.revocations(2_000))).toBe("store_damaged");
  });

  test("sightings are kept until they expire, and as long after it as the last sweep left", async () => {
    const store = await open();
    const day = 24 * 3_600_000;
    await store.noteSightings([sighting("a", { expiresAtMs: 62_000 })]);
    expect(await server.ask("PTTL", "cg:sighting:a")).toBeWithin(7 * day, 7 * day + 60_001);
    await store.sweepSightings(2_000 - day);
    await store.noteSightings([sighting("a"), sighting("b", { expiresAtMs: 1_000 })]);
    expect(await server.ask("PTTL", "cg:sighting:a")).toBeWithin(day, day + 60_001);
    expect(await server.ask("PTTL", "cg:sighting:b")).toBeWithin(day - 1_000, day + 1);
  });

  describe("takeTokens()", () => {
    const HOUR_MS = 3_600_000;

    test("gives the burst, then refuses and takes nothing", async () => {
      const store = await open();
      const takeOne = async () => (await take(store, ["alice", 2, HOUR_MS]))?.[0];
      expect(await takeOne()).toEqual({ allowed: true, remaining: 1, retryMs: 0 });
      expect(await takeOne()).toEqual({ allowed: true, remaining: 0, retryMs: 0 });
      const refused = await takeOne();
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      for (let more = 0; more < 20; more++) await takeOne();
      expect((await takeOne())?.retryMs).toBeLessThanOrEqual(refused?.retryMs ?? 0);
      expect(refused?.retryMs).toBeGreaterThan(1_790_000);
      expect(refused?.retryMs).toBeLessThanOrEqual(1_800_000);
    });

    test("takes from all of several, or from none", async () => {
      const store = await open();
      const both = () => take(store, ["few", 2, HOUR_MS], ["many", 5, HOUR_MS]);
      expect(await both()).toEqual([
        { allowed: true, remaining: 1, retryMs: 0 },
        { allowed: true, remaining: 4, retryMs: 0 },
      ]);
      await both();
      for (let more = 0; more < 5; more++) {
        expect(await both()).toMatchObject([
          { allowed: false, remaining: 0 },
          { allowed: true, remaining: 3, retryMs: 0 },
        ]);
      }
      expect(await take(store, ["many", 5, HOUR_MS])).toMatchObject([{ remaining: 2 }]);
    });

    test("is exact for all who ask at once, by every connection", async () => {
      const [one, other] = [await open(), await open()];
      const asked = Array.from({ length: 100 }, (_, at) =>
        take(at % 2 === 0 ? one : other, ["k", 20, HOUR_MS], [`k${at % 4}`, 4, HOUR_MS]),
      );
      const taken = await Promise.all(asked);
      const passed = taken.filter((answers) => answers?.every(({ allowed }) => allowed));
      expect(passed).toHaveLength(16);
    });

    test("allows again after the time it names", async () => {
      const store = await open();
      const takeOne = async () => (await take(store, ["k", 2, 400]))?.[0];
      let refused = await takeOne();
      while (refused?.allowed) refused = await takeOne();
      await Bun.sleep((refused?.retryMs ?? 0) + 1);
      expect(await takeOne()).toMatchObject({ allowed: true });
    });

    test("keeps a bucket apart for each key, none longer than until it is full", async () => {
      const store = await open();
      await take(store, ["a", 1, 60_000]);
      expect(await take(store, ["b", 1, 60_000])).toMatchObject([{ allowed: true }]);
      await take(store, ["x".repeat(10_000), 1, 60_000]);
      const keys = ((await server.ask("KEYS", "cg:bucket:*")) as string[]).sort();
      expect(keys).toHaveLength(3);
      for (const key of keys) {
        expect(key.length).toBeLessThan(64);
        expect(await server.ask("PTTL", key)).toBeWithin(1, 60_002);
      }
    });
  });
});

describeWith("redis-server", "Redis that fails", () => {
  test("gone: refused at once; back and empty: found by itself, and told", async () => {
    await using server = await startRedis();
    const store = await openAt(server.url);
    const before = await store.revision();
    let calls = 0;
    store.onRevocation(() => {
      calls++;
    });
    await server.kill();
    await eventually(async () => (await messageOf(store.revision())).includes("reached"));
    expect(await faultOf(store.append([record("a", 1)]))).toBe("store_unavailable");
    await Bun.sleep(300); // down for several tries
    await server.restart();
    await eventually(() => calls > 0);
    await eventually(async () => (await messageOf(store.revision())) === "no fault");
    expect(await store.revision()).not.toBe(before);
    const [others, callsBefore] = [await openAt(server.url), calls];
    await eventually(async () => {
      await others.revoke(revocation({ value: crypto.randomUUID() }));
      return calls > callsBefore;
    });
    await Promise.all([store.close(), others.close()]);
  });

  test("paused: a fault after a second, then at once; resumed: found by itself", async () => {
    await using server = await startRedis();
    const store = await openAt(server.url);
    server.pause();
    expect(await messageOf(store.append([record("a", 1)]))).toContain("does not answer");
    expect(await faultOf(store.revision())).toBe("store_unavailable");
    server.resume();
    await eventually(async () => (await messageOf(store.revision())) === "no fault");
    await store.append([record("a", 1)]);
    expect(await store.find({ limit: 5 })).toHaveLength(1);
    await store.close();
  });

  test("cut off without a word: both connections are made anew", async () => {
    await using server = await startRedis();
    using wire = startWire(server.port);
    const [store, others] = [await openAt(wire.url), await openAt(server.url)];
    let calls = 0;
    store.onRevocation(() => {
      calls++;
    });
    const announce = () => others.revoke(revocation({ value: crypto.randomUUID() }));
    await eventually(async () => {
      await announce();
      return calls > 0;
    });
    const connections = wire.cut();
    expect(connections).toBe(2);
    expect(await messageOf(store.revision())).toContain("does not answer");
    await eventually(async () => (await messageOf(store.revision())) === "no fault");
    await eventually(() => wire.connections() === 4);
    const before = calls;
    await eventually(async () => {
      await announce();
      return calls > before + 1;
    });
    await Promise.all([store.close(), others.close()]);
  });

  test("not there, or paused, at the start: a fault that names the place", async () => {
    const server = await startRedis();
    server.pause();
    expect(await faultOf(openAt(server.url))).toBe("store_unavailable");
    await server.kill();
    expect(await messageOf(openAt(server.url))).toBe(
      `Cannot use the store ${server.url}: it cannot be reached`,
    );
  });

  test("not there at the start, for one that waits: found by itself; a wrong password is refused", async () => {
    await using server = await startRedis(
      ["--requirepass", "word"],
      (port) => `redis://:word@127.0.0.1:${port}`,
    );
    const open = (word: string) =>
      openRedisStore(
        { kind: "redis", url: server.url.replace("://", `://:${word}@`), prefix: "cg:" },
        { now, whenDown: "wait" },
      );
    expect(await messageOf(open("wrong"))).toContain("refuses the user name or password");
    await server.kill();
    const store = await open("word");
    let calls = 0;
    store.onRevocation(() => {
      calls++;
    });
    expect(await messageOf(store.revoke(revocation()))).toContain("cannot be reached");
    await server.restart();
    await eventually(() => calls > 0);
    await eventually(async () => (await messageOf(store.revoke(revocation()))) === "no fault");
    await store.close();
  });

  test("evicting at its return: not used", async () => {
    await using server = await startRedis(["--maxmemory", "50mb"]);
    const store = await openAt(server.url);
    await server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await server.ask("CLIENT", "KILL", "TYPE", "normal");
    await eventually(async () => (await messageOf(store.revision())).includes("it evicts keys"));
    await server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await eventually(async () => (await messageOf(store.revision())) === "no fault");
    await store.close();
  });

  test("full: what is there can be read, and nothing is half written", async () => {
    await using server = await startRedis(["--maxmemory", "3mb"]);
    const store = await openAt(server.url);
    let seq = 0;
    let fault = "";
    while (fault === "" && seq < 20_000) {
      const batch = Array.from({ length: 100 }, () => record("a", ++seq));
      fault = await messageOf(store.append(batch)).then((text) =>
        text === "no fault" ? "" : text,
      );
    }
    expect(fault).toContain("it is full");
    expect(await store.anchors()).toMatchObject([{ lastSeq: seq - 100 }]);
    expect(await store.find({ limit: 1 })).toMatchObject([{ seq: seq - 100 }]);

    let count = 0;
    fault = "";
    while (fault === "" && count < 20_000) {
      const more = revocation({ value: String(++count), reason: "r".repeat(1_000) });
      fault = await messageOf(store.revoke(more)).then((text) => (text === "no fault" ? "" : text));
    }
    expect(fault).toContain("it is full");
    expect(await store.revocations(2_000)).toHaveLength(count - 1);
    await store.close();
  });

  test("with as many clients as it takes: says so, and is used once there is room", async () => {
    await using server = await startRedis();
    const store = await openAt(server.url);
    await server.ask("CONFIG", "SET", "maxclients", "1");
    expect(await messageOf(openAt(server.url))).toContain("it has too many clients");
    await store.close();
    await eventually(async () => (await messageOf(openAt(server.url))) === "no fault");
  });

  test("evicting any key it likes: refused", async () => {
    const policy = ["--maxmemory-policy", "allkeys-lru"];
    await using server = await startRedis(["--maxmemory", "50mb", ...policy]);
    expect(await messageOf(openAt(server.url))).toContain("set maxmemory-policy noeviction");
  });
});

describeWith("redis-server", "Redis behind a password and TLS", () => {
  const password = "p@ss/w:rd?#% ü";
  const withPassword = (port: number, word = password) =>
    `redis://:${encodeURIComponent(word)}@127.0.0.1:${port}`;

  test("takes the right password, and tells nobody a wrong one", async () => {
    await using server = await startRedis(["--requirepass", password], withPassword);
    const store = await openAt(withPassword(server.port));
    await store.revoke(revocation());
    await store.close();
    const message = (url: string) => messageOf(openAt(url));
    const prefix = `Cannot use the store ${server.url}: it `;
    expect(await message(withPassword(server.port, "wr0ng"))).toBe(
      `${prefix}refuses the user name or password`,
    );
    expect(await message(server.url)).toBe(`${prefix}asks for a password`);
  });

  test("needs no more of an access list than is written in docs/store.md", async () => {
    await using server = await startRedis();
    const page = await Bun.file(join(import.meta.dir, "../../docs/store.md")).text();
    const [, rules = ""] = /^user claimgate (.+)$/m.exec(page) ?? [];
    await server.ask(
      "ACL",
      "SETUSER",
      "claimgate",
      ...rules.replace("PASSWORD", "word").split(" "),
    );
    const url = server.url.replace("://", "://claimgate:word@");
    const [store, others] = [await openAt(url, "claimgate:"), await openAt(url, "claimgate:")];
    let calls = 0;
    store.onRevocation(() => {
      calls++;
    });
    await store.append([record("a", 1), record("a", 2)]);
    await eventually(async () => {
      await others.revoke(revocation({ value: crypto.randomUUID() }));
      return calls > 0;
    });
    await store.unrevoke("jti", "okta", "nobody");
    await store.noteSightings([sighting("a")]);
    await store.putNew("k", "v", 9_000);
    await store.take("k");
    await take(store, ["alice", 3, 60_000]);
    await store.secret?.("s", new Uint8Array(32));
    expect(await store.find({ limit: 9 })).toHaveLength(2);
    expect(await store.chain("a", 0, 9)).toHaveLength(2);
    expect(await store.sightings({ limit: 9 })).toHaveLength(1);
    expect((await store.revocations(2_000)).length).toBeGreaterThan(0);
    await store.sweep(1_000_000);
    await store.sweepSightings(1_000_000);
    const inspection = await inspectStore({ kind: "redis", url, prefix: "claimgate:" }, "check");
    expect(inspection?.problems).toEqual([]);
    const elsewhere = await messageOf(openAt(url, "other:"));
    expect(elsewhere).toContain("its access list does not allow");
    await Promise.all([store.close(), others.close()]);
  });

  test("believes only a certificate that it knows", async () => {
    const certificate = makeCertificate("localhost");
    await using folder = await tempFolder({
      "cert.pem": certificate.cert,
      "key.pem": certificate.key,
    });
    const tls = ["--tls-cert-file", `${folder.path}/cert.pem`, "--tls-key-file"];
    const args = [...tls, `${folder.path}/key.pem`, "--tls-auth-clients", "no", "--tls-port"];
    const port = freePort();
    await using _server = await startRedis([...args, String(port)]);
    const url = `rediss://localhost:${port}`;
    expect(await messageOf(openAt(url))).toContain("its certificate is not good");
    const script = `
      import { openRedisStore } from ${JSON.stringify(`${import.meta.dir}/../../src/store/redis.ts`)};
      const config = { kind: "redis", url: ${JSON.stringify(url)}, prefix: "cg:" };
      const store = await openRedisStore(config, { now: Date.now });
      console.log((await store.revision()).endsWith(".0"));
      await store.close();`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: `${folder.path}/cert.pem` },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect((await child.stdout.text()) + (await child.stderr.text())).toBe("true\n");
    expect(await child.exited).toBe(0);
  });
});

/** What becomes of a gate, and of what it knows, when Redis fails. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeWith } from "../support/needs.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { until } from "./claimgate.ts";
import {
  type Asked,
  ask,
  askUntil,
  assertRecorded,
  type FaultFolder,
  faultFolder,
  jtiOf,
  storeState,
  wordsOf,
} from "./fault-gate.ts";

const TEST_LIMIT_MS = 90_000;
const NO_STORE = "503 store_unavailable";
const REVOKED = "401 token_revoked";

/** A gate's two tokens, the second of which is revoked, by a command, and known to be so. */
async function startRevoked(folder: FaultFolder) {
  const gate = await folder.serve();
  const [good, bad] = [await folder.token("alice"), await folder.token("bob")];
  const revoked = await folder.run("revoke", "--jti", jtiOf(bad));
  expect({ exitCode: revoked.exitCode, err: revoked.err }).toEqual({ exitCode: 0, err: "" });
  await askUntil(REVOKED, gate, "/app/x", bad);
  return { gate, good, bad, [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose]() };
}

/** Everything that comes back comes so late. */
function startSlowWire(server: RedisServer, delayMs: number) {
  type Side = { other?: Bun.Socket<Side>; early: Buffer[] };
  const send = (socket: Bun.Socket<Side> | undefined, bytes: Buffer) => {
    let rest = bytes;
    const go = () => {
      rest = rest.subarray(Math.max(0, socket?.write(rest) ?? rest.length));
      if (rest.length > 0) setTimeout(go, 1);
    };
    go();
  };
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        client.data = { early: [] };
        void Bun.connect<Side>({
          hostname: "127.0.0.1",
          port: server.port,
          data: { other: client, early: [] },
          socket: {
            open(upstream) {
              client.data.other = upstream;
              for (const bytes of client.data.early) send(upstream, bytes);
            },
            data(_, bytes) {
              const late = Buffer.from(bytes);
              setTimeout(() => send(client, late), delayMs);
            },
            close: () => void client.end(),
          },
        });
      },
      data(client, bytes) {
        const { other, early } = client.data;
        if (other === undefined) early.push(Buffer.from(bytes));
        else send(other, Buffer.from(bytes));
      },
      close: (client) => void client.data.other?.end(),
    },
  });
  return {
    url: `redis://127.0.0.1:${listener.port}`,
    [Symbol.dispose]: () => void listener.stop(true),
  };
}

describeWith("redis-server", "a gate whose Redis", () => {
  test(
    "is down when it starts: closed but for public routes, and open once Redis is there",
    async () => {
      await using server = await startRedis();
      await using folder = await faultFolder(server.url);
      await server.kill();
      await using gate = await folder.serve();
      await gate.waitForLog(({ event }) => event === "store_lost");
      const token = await folder.token("alice");
      const closed = [
        await ask(gate, "/app/x", token),
        await ask(gate, "/open"),
        await ask(gate, "/app/x"),
      ];
      expect(closed.map(wordsOf)).toEqual([NO_STORE, "200", "401 token_missing"]);
      expect(await storeState(gate)).toBe("200 lost");
      await server.restart();
      const opened = await askUntil("200", gate, "/app/x", token);
      expect(await storeState(gate)).toBe("200 fresh");
      await assertRecorded(folder, [...closed, ...opened]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "has a newer layout, or is another program's: no start, and nothing is changed",
    async () => {
      await using server = await startRedis();
      await using folder = await faultFolder(server.url);
      await server.ask("HSET", "claimgate:meta", "version", "99");
      const newer = await folder.run("serve");
      expect({ exitCode: newer.exitCode, out: newer.out }).toEqual({ exitCode: 70, out: "" });
      expect(newer.err).toContain("newer than this claimgate knows");
      expect(await server.ask("HGETALL", "claimgate:meta")).toEqual({ version: "99" });
      await server.ask("FLUSHALL");
      await server.ask("SET", "claimgate:meta", "theirs");
      expect((await folder.run("serve")).exitCode).toBe(70);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is killed and comes back empty: revocations stay in force and are put back, no later record is lost",
    async () => {
      await using server = await startRedis();
      await using folder = await faultFolder(server.url);
      await using started = await startRevoked(folder);
      const { gate, good, bad } = started;
      await server.kill();
      const asked: Asked[] = [];
      const outage = askUntil(NO_STORE, gate, "/app/x", good);
      for (let count = 0; count < 20; count++) asked.push(await ask(gate, "/app/x", bad));
      asked.push(...(await outage), await ask(gate, "/app/x", bad), await ask(gate, "/open"));
      const answers = new Set(asked.map(wordsOf));
      expect([...answers].sort()).toEqual(["200", REVOKED, NO_STORE]);
      expect(wordsOf(asked.at(-2) as Asked)).toBe(REVOKED);
      const failed = await folder.run("revoke", "--jti", "another");
      expect(failed.exitCode).toBe(70);

      await server.restart();
      const back = await askUntil("200", gate, "/app/x", good);
      expect(wordsOf(await ask(gate, "/app/x", bad))).toBe(REVOKED);
      await until("the revocation in the store", 10_000, async () => {
        const { out } = await folder.run("tokens", "--revoked", "--json");
        return out.includes(jtiOf(bad));
      });
      // What was written to the former one is gone with it; what was decided since is not.
      await until("the records", 20_000, async () => {
        const { out } = await folder.run("audit", "--json", "--limit", "100000");
        return [...asked, ...back].every(({ id }) => out.includes(id));
      });
      await using next = await folder.serve();
      expect(wordsOf(await ask(next, "/app/x", bad))).toBe(REVOKED);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is paused: known revocations hold, the rest is closed in time, and nothing is lost",
    async () => {
      await using server = await startRedis();
      await using folder = await faultFolder(server.url);
      await using started = await startRevoked(folder);
      const { gate, good, bad } = started;
      server.pause();
      const asked = [...(await askUntil(NO_STORE, gate, "/app/x", good))];
      expect(wordsOf(asked[0] as Asked)).toBe("200");
      asked.push(await ask(gate, "/app/x", bad), await ask(gate, "/open"));
      expect(asked.slice(-2).map(wordsOf)).toEqual([REVOKED, "200"]);
      expect(await storeState(gate)).toBe("200 lost");
      expect((await folder.run("revoke", "--jti", "another")).exitCode).toBe(70);
      server.resume();
      asked.push(...(await askUntil("200", gate, "/app/x", good)));
      expect(wordsOf(await ask(gate, "/app/x", bad))).toBe(REVOKED);
      await assertRecorded(folder, asked);
    },
    TEST_LIMIT_MS,
  );

  test(
    "hangs at the end: the gate ends all the same, says what the store lacks, and the file has it",
    async () => {
      await using server = await startRedis();
      await using folder = await faultFolder(server.url);
      await using gate = await folder.serve();
      server.pause();
      const asked: Asked[] = [];
      for (let count = 0; count < 50; count++) asked.push(await ask(gate, "/open"));
      gate.signal("SIGTERM");
      expect(await gate.ended()).toBe(0);
      const told = gate.log.find(({ event }) => event === "audit_lost");
      expect(told?.message).toMatch(/^\d+ audit records are in the audit file alone: /);
      const lines = await Bun.file(join(folder.path, "audit.jsonl")).text();
      expect(asked.filter(({ id }) => !lines.includes(id))).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is full: it goes on with what it knows, says so, and writes all once there is room",
    async () => {
      await using server = await startRedis(["--maxmemory-policy", "noeviction"]);
      await using folder = await faultFolder(server.url);
      await using started = await startRevoked(folder);
      const { gate, good, bad } = started;
      await server.ask("CONFIG", "SET", "maxmemory", "1");
      const asked: Asked[] = [];
      for (let count = 0; count < 10; count++) asked.push(await ask(gate, "/app/x", good));
      asked.push(await ask(gate, "/app/x", bad), await ask(gate, "/metered", good));
      expect(asked.map(wordsOf)).toEqual([...Array(10).fill("200"), REVOKED, "200"]);
      const told = await gate.waitForLog(({ event }) => event === "audit");
      expect(String(told.message)).toContain("it is full: raise maxmemory");
      const failed = await folder.run("revoke", "--jti", "another");
      expect(failed.exitCode).toBe(70);
      expect(failed.err).toContain("it is full");
      expect(await storeState(gate)).toBe("200 fresh");
      await server.ask("CONFIG", "SET", "maxmemory", "0");
      await assertRecorded(folder, asked);
      expect((await folder.run("revoke", "--jti", "another")).exitCode).toBe(0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "answers slowly: requests do not wait for it, limits hold, revocations come through",
    async () => {
      await using server = await startRedis();
      using wire = startSlowWire(server, 300);
      await using folder = await faultFolder(wire.url);
      await using started = await startRevoked(folder);
      const { gate, good, bad } = started;
      const asked: Asked[] = [];
      for (let count = 0; count < 5; count++) asked.push(await ask(gate, "/metered", good));
      expect(asked.filter(({ status }) => status === 200)).toHaveLength(3);
      await gate.waitForLog(({ event }) => event === "limits_local");
      expect(wordsOf(await ask(gate, "/app/x", bad))).toBe(REVOKED);
      expect(await storeState(gate)).toBe("200 fresh");
      await assertRecorded(folder, asked);
    },
    TEST_LIMIT_MS,
  );
});

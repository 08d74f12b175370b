import { expect, test } from "bun:test";
import { openRedisStore } from "../../src/store/redis.ts";
import { describeWith } from "../support/needs.ts";
import { startRedis } from "../support/redis-server.ts";
import { eventually, faultOf, record, revocation } from "./contract.ts";
import { messageOf, now, openAt } from "./redis-place.ts";

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

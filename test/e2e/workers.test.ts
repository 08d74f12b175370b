/** Several processes on one port, as the executable starts, replaces, reloads and drains them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { makeAuthority } from "./certificate.ts";
import {
  developmentToken,
  type LogLine,
  type RunningServe,
  run,
  serve,
  until,
} from "./claimgate.ts";

const LIMIT_MS = 10_000;
const TEST_LIMIT_MS = 60_000;

const config = (more = "", routes = "") => `listen: 127.0.0.1:0
workers: 2
issuers: [{ name: dev, development: true }]
${more}
routes:
  - { name: app, match: { path: "/app/*" }, upstream: echo, anyAuthenticated: true }
  - { name: open, match: { path: "/open/*" }, upstream: echo, public: true }
${routes}`;

const LIMITED = `  - { name: few, match: { path: "/few/*" }, upstream: echo, anyAuthenticated: true, rateLimit: { limit: 12, per: 24h } }`;

/** A new connection each time, so that any worker may get it. */
const get = (url: string, token?: string, tls?: BunFetchRequestInitTLS) =>
  fetch(url, {
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    keepalive: false,
    signal: AbortSignal.timeout(LIMIT_MS),
    ...(tls && { tls }),
  });

const statuses = async (count: number, url: string, token?: string) =>
  Promise.all(Array.from({ length: count }, async () => (await get(url, token)).status));

/** The last that was told of the worker. */
function pidOf(gate: RunningServe, worker: number): number {
  const isIt = (line: LogLine) => line.event === "worker_serves" && line.worker === worker;
  return Number(gate.log.findLast(isIt)?.pid);
}

const pidsOf = (gate: RunningServe) => [pidOf(gate, 1), pidOf(gate, 2)];

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Asks until each worker has answered as it should. */
async function everyWorker(
  gate: RunningServe,
  ask: () => Promise<Response>,
  fits: (answer: Response) => boolean,
): Promise<void> {
  const fitting = new Set<unknown>();
  await until("both workers answer so", LIMIT_MS, async () => {
    const answer = await ask();
    const id = answer.headers.get("X-Request-Id");
    await answer.text();
    const line = await gate.waitForLog(({ requestId }) => requestId === id);
    if (fits(answer)) fitting.add(line.worker);
    return fitting.has(1) && fitting.has(2);
  });
}

const is = (status: number) => (answer: Response) => answer.status === status;

describe.skipIf(process.platform !== "linux")("two workers", () => {
  describe("on one port", () => {
    let folder: TempFolder;
    let gate: RunningServe;
    let token: string;
    const at = (path: string) => `${gate.urls[0]}${path}`;
    const admin = (path: string, init: RequestInit = {}) =>
      fetch(`http://localhost${path}`, { ...init, unix: join(folder.path, "claimgate.sock") });

    beforeAll(async () => {
      folder = await tempFolder({ "claimgate.yaml": config("", LIMITED) });
      gate = await serve([], { folder: folder.path });
      token = await developmentToken(folder.path, "--sub", "alice");
    }, TEST_LIMIT_MS);
    afterAll(async () => {
      await gate?.[Symbol.asyncDispose]();
      await folder?.[Symbol.asyncDispose]();
    });

    test("both serve, and the log tells the address once", async () => {
      await everyWorker(gate, () => get(at("/app/x"), token), is(200));
      expect(gate.log.filter(({ event }) => event === "listening")).toHaveLength(1);
      const [one, other] = pidsOf(gate);
      expect(new Set([gate.pid, one, other]).size).toBe(3);
    });

    test("a rate limit holds over both, to the request", async () => {
      const answers = await statuses(40, at("/few/x"), token);
      expect(answers.filter((status) => status === 200)).toHaveLength(12);
      expect(answers.filter((status) => status === 429)).toHaveLength(28);
      await everyWorker(gate, () => get(at("/few/x"), token), is(429));
    });

    test("what is revoked is refused by both", async () => {
      const bob = await developmentToken(folder.path, "--sub", "bob");
      await everyWorker(gate, () => get(at("/app/x"), bob), is(200));
      const revoked = await run(["revoke", "--subject", "bob"], { folder: folder.path });
      expect(revoked).toMatchObject({ exitCode: 0 });
      await everyWorker(gate, () => get(at("/app/x"), bob), is(401));
      expect(new Set(await statuses(20, at("/app/x"), bob))).toEqual(new Set([401]));
    });

    test("one page of metrics has the sum, also once a worker has gone", async () => {
      const line = /^claimgate_decisions_total\{route="open",[^}]*status="2xx"\} (\d+)$/m;
      const counted = async () => Number(line.exec(await (await admin("/metrics")).text())?.[1]);
      await everyWorker(gate, () => get(at("/open/x")), is(200));
      const before = await counted();
      await statuses(30, at("/open/x"));
      expect(await counted()).toBe(before + 30);
      const page = await (await admin("/metrics")).text();
      expect(page).toContain("claimgate_workers 2\n");
      expect(page).toContain("claimgate_workers_replaced_total 0\n");

      const former = pidOf(gate, 2);
      process.kill(former, "SIGKILL");
      await until("another worker 2", LIMIT_MS, () => pidOf(gate, 2) !== former);
      await statuses(10, at("/open/x"));
      expect(await counted()).toBe(before + 40);
      expect(await (await admin("/metrics")).text()).toContain(
        "claimgate_workers_replaced_total 1\n",
      );
    });

    test("the stream and the list of decisions have those of both", async () => {
      const answer = await admin("/v1/decisions/stream?route=open");
      const seen = new Set<string>();
      const reader = (answer.body ?? new ReadableStream<Uint8Array>()).getReader();
      const reading = (async () => {
        let text = "";
        const decoder = new TextDecoder();
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          text += decoder.decode(read.value, { stream: true });
          for (const [, id = ""] of text.matchAll(/"requestId":"([^"]+)"/g)) seen.add(id);
        }
      })().catch(() => undefined);
      const asked: string[] = [];
      await everyWorker(
        gate,
        async () => {
          const one = await get(at("/open/streamed"));
          asked.push(one.headers.get("X-Request-Id") ?? "");
          return one;
        },
        is(200),
      );
      await until("all on the stream", LIMIT_MS, () => asked.every((id) => seen.has(id)));
      await reader.cancel();
      await reading;
      const listed = await (await admin("/v1/decisions?route=open&limit=1000")).text();
      for (const id of asked) expect(listed).toContain(id);
      const verified = await run(["audit", "verify"], { folder: folder.path });
      expect(verified).toMatchObject({ exitCode: 0 });
    });

    test("a configuration that does not hold touches none; one that does is taken by both", async () => {
      const pids = pidsOf(gate);
      const next = config("", LIMITED).replace("path: /open/*", "path: /never/*");
      await folder.write("claimgate.yaml", `${next}\nlisten_: x\n`);
      await gate.waitForLog(({ event, worker }) => event === "reload_refused" && worker === 1);
      const reload = await admin("/v1/reload", { method: "POST" });
      expect(reload.status).toBe(409);
      await everyWorker(gate, () => get(at("/open/x")), is(200));
      expect(gate.log.some(({ event }) => event === "worker_reloaded")).toBe(false);
      expect(gate.log.some(({ event, worker }) => event === "reload_refused" && worker === 2)).toBe(
        false,
      );

      await folder.write("claimgate.yaml", config("", LIMITED).replace("/open/*", "/now/*"));
      await gate.waitForLog(({ event }) => event === "reloaded");
      await everyWorker(gate, () => get(at("/now/x")), is(200));
      expect(new Set(await statuses(20, at("/open/x")))).toEqual(new Set([404]));
      expect(pidsOf(gate)).toEqual(pids);
      // By the administrator's word, too.
      await folder.write("claimgate.yaml", config("", LIMITED));
      expect((await admin("/v1/reload", { method: "POST" })).status).toBe(200);
      expect(new Set(await statuses(20, at("/open/x")))).toEqual(new Set([200]));
    });

    test(
      "SIGTERM lets requests finish and leaves no process",
      async () => {
        const pids = pidsOf(gate);
        gate.signal("SIGTERM");
        expect(await gate.ended()).toBe(0);
        expect(pids.filter(isAlive)).toEqual([]);
        expect(gate.log.filter(({ event }) => event === "worker_ended")).toHaveLength(1);
      },
      TEST_LIMIT_MS,
    );
  });

  test(
    "a worker that is killed or hangs is replaced while the other serves",
    async () => {
      await using folder = await tempFolder({ "claimgate.yaml": config() });
      await using gate = await serve([], { folder: folder.path });
      const url = `${gate.urls[0]}/open/x`;
      for (const [signal, worker] of [
        ["SIGKILL", 1],
        ["SIGSTOP", 2],
        ["SIGSTOP", 1],
      ] as const) {
        const [former, other] = [pidOf(gate, worker), pidOf(gate, 3 - worker)];
        process.kill(former, signal);
        await until("a new worker", LIMIT_MS, () => pidOf(gate, worker) !== former);
        expect(isAlive(former)).toBe(false);
        expect(pidOf(gate, 3 - worker)).toBe(other);
        await everyWorker(gate, () => get(url), is(200));
      }
      // The administrator's door has come back with its worker.
      const socket = join(folder.path, "claimgate.sock");
      const metrics = await fetch("http://localhost/metrics", { unix: socket });
      expect(await metrics.text()).toContain("claimgate_workers_replaced_total 3\n");
    },
    TEST_LIMIT_MS,
  );

  test(
    "a loop that the policy's limit ends costs no worker; one that nothing ends costs just that",
    async () => {
      const policy = `import { allow, definePolicy } from "claimgate";
export default definePolicy({
  description: "Loops when told to",
  async evaluate({ request }) {
    if (request.query.get("loop") === "short") for (;;);
    await Promise.resolve();
    if (request.query.get("loop") === "long") for (;;);
    return allow();
  },
});
`;
      const routes = `  - { name: loops, match: { path: "/loops/*" }, upstream: echo, policies: [loops] }`;
      await using folder = await tempFolder({
        "claimgate.yaml": config("reload: { requireCases: false }", routes),
        "policies/loops.ts": policy,
      });
      await using gate = await serve([], { folder: folder.path });
      const token = await developmentToken(folder.path, "--sub", "alice");
      const pids = pidsOf(gate);
      for (let n = 0; n < 4; n += 1) {
        expect((await get(`${gate.urls[0]}/loops/x?loop=short`, token)).status).toBe(403);
      }
      expect(pidsOf(gate)).toEqual(pids);
      const asked = get(`${gate.urls[0]}/loops/x?loop=long`, token).catch(() => "cut");
      await until("a new worker", LIMIT_MS, () => !Bun.deepEquals(pidsOf(gate), pids));
      expect(await asked).toBe("cut");
      expect(pidsOf(gate).filter((pid) => pids.includes(pid))).toHaveLength(1);
      await everyWorker(gate, () => get(`${gate.urls[0]}/loops/x`, token), is(200));
    },
    TEST_LIMIT_MS,
  );

  test(
    "workers do not outlive their supervisor",
    async () => {
      await using folder = await tempFolder({ "claimgate.yaml": config() });
      await using gate = await serve([], { folder: folder.path });
      const pids = pidsOf(gate);
      process.kill(gate.pid, "SIGKILL");
      await until("their end", LIMIT_MS, () => pids.filter(isAlive).length === 0);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a renewed certificate is served by both, and no connection is lost over it",
    async () => {
      const authority = makeAuthority("Test authority");
      const write = async (to: TempFolder) => {
        const { cert, key } = authority.issue("gate");
        await to.write("key.pem", key);
        await to.write("cert.pem", cert);
      };
      await using folder = await tempFolder({
        "claimgate.yaml": config("tls: { cert: cert.pem, key: key.pem }"),
      });
      await write(folder);
      await using gate = await serve([], { folder: folder.path });
      const url = `${gate.urls[0]}/open/x`;
      const tls = { ca: authority.cert };
      const renewed = { now: false };
      const failures: unknown[] = [];
      const clients = Array.from({ length: 4 }, async () => {
        while (!renewed.now) {
          const status = await get(url, undefined, tls).then(
            async (answer) => {
              await answer.text();
              return answer.status;
            },
            (fault: unknown) => String(fault),
          );
          if (status !== 200) failures.push(status);
        }
      });
      await write(folder);
      process.kill(gate.pid, "SIGHUP");
      await gate.waitForLog(({ event }) => event === "reloaded");
      await everyWorker(gate, () => get(url, undefined, tls), is(200));
      renewed.now = true;
      await Promise.all(clients);
      expect(failures).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "sockets that are opened anew under load lose no connection",
    async () => {
      const file = (idleSeconds: number) => config(`http: { idleTimeout: ${idleSeconds}s }`);
      await using folder = await tempFolder({ "claimgate.yaml": file(60) });
      await using gate = await serve([], { folder: folder.path });
      const outcomes = new Map<string, number>();
      const load = { isOver: false };
      const clients = Array.from({ length: 16 }, async () => {
        while (!load.isOver) {
          const outcome = await get(`${gate.urls[0]}/open/x`).then(
            async (answer) => `${answer.status} ${(await answer.text()).length > 0}`,
            (fault: unknown) => String(fault),
          );
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      });
      const reloads = () => gate.log.filter(({ event }) => event === "reloaded").length;
      for (const [done, idleSeconds] of [61, 62, 63].entries()) {
        await folder.write("claimgate.yaml", file(idleSeconds));
        await until("the reload", LIMIT_MS, () => reloads() > done);
      }
      load.isOver = true;
      await Promise.all(clients);
      expect([...outcomes.keys()]).toEqual(["200 true"]);
    },
    TEST_LIMIT_MS,
  );

  test("a port that another program shares is told, not shared", async () => {
    await using other = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      reusePort: true,
      fetch: () => new Response("other"),
    });
    const text = config().replace("127.0.0.1:0", `127.0.0.1:${other.port}`);
    await using folder = await tempFolder({ "claimgate.yaml": text });
    const { exitCode, err } = await run(["serve"], { folder: folder.path });
    expect(exitCode).toBe(1);
    expect(err).toContain(`cannot listen on 127.0.0.1:${other.port}: another program does`);
  });

  test("what does not hold is told once, and ends the start", async () => {
    const text = config(
      "",
      `  - { name: bad, match: { path: /b }, upstream: echo, policies: [gone] }`,
    );
    await using folder = await tempFolder({
      "claimgate.yaml": text.replace("127.0.0.1:0", `127.0.0.1:${freePort()}`),
    });
    const { exitCode, err } = await run(["serve"], { folder: folder.path });
    expect(exitCode).toBe(1);
    expect(err.match(/does not hold/g)).toHaveLength(1);
    expect(err).toContain("gone");
  });

  test("nobody starts a worker by hand", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": config() });
    const { exitCode, err } = await run(["serve", "--worker", "1"], { folder: folder.path });
    expect(exitCode).toBe(2);
    expect(err).toContain("--worker is how serve starts its own workers");
  });
});

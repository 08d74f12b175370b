import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { startGate } from "../../src/cli/start-gate.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { tempFolder } from "../support/temp-folder.ts";

type Readiness = { status: string; store: { state: string; syncedAt?: string } };

test("/.claimgate/ready says that the store is lost, and stays 200", async () => {
  const routes = [{ name: "all", upstream: "echo", public: true }];
  const revocation = { maxStaleness: "1s" };
  const text = stringify({ listen: "127.0.0.1:0", revocation, routes });
  await using folder = await tempFolder({ "claimgate.yaml": text });
  const sink = { write: () => {}, flush: async () => {} };
  const running = await startGate({
    file: join(folder.path, "claimgate.yaml"),
    environment: {},
    now: Date.now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now: Date.now }),
  });
  const ask = async () => {
    const answer = await fetch(`${running.urls()[0]}/.claimgate/ready`);
    return { status: answer.status, body: (await answer.json()) as Readiness };
  };
  try {
    const syncedAt = expect.stringMatching(/^\d{4}-.*Z$/);
    const there = { state: "fresh", syncedAt };
    expect(await ask()).toMatchObject({ status: 200, body: { status: "ready", store: there } });

    for (const end of ["", "-wal", "-shm"]) {
      await rm(join(folder.path, `claimgate.db${end}`), { force: true });
    }
    for (let tries = 0; (await ask()).body.store.state === "fresh" && tries < 500; tries += 1) {
      await Bun.sleep(20);
    }
    const lost = { state: "lost", syncedAt };
    expect(await ask()).toMatchObject({ status: 200, body: { status: "ready", store: lost } });
  } finally {
    await running.drain();
  }
}, 20_000);

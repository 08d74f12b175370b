import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { startGate } from "../../src/cli/start-gate.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { forwardEntry } from "../audit/entries.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** A gate whose audit is full, because another program keeps the store locked. */
async function openFullGate(more: object = {}) {
  const routes = [{ name: "all", upstream: "echo", public: true }];
  const text = stringify({ listen: "127.0.0.1:0", ...more, routes });
  const folder = await tempFolder({ "claimgate.yaml": text });
  const decided: string[] = [];
  const waiting: { began: () => void } = { began: () => {} };
  const sink = { write: (line: string) => void decided.push(line), flush: async () => {} };
  const running = await startGate({
    file: join(folder.path, "claimgate.yaml"),
    environment: {},
    now: Date.now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now: Date.now }),
  });
  const lock = new Database(join(folder.path, "claimgate.db"));
  lock.run("BEGIN IMMEDIATE");
  const { audit } = running.gate.ledger;
  for (let number = 1; number <= 50_000; number += 1) audit.record(forwardEntry(number));
  const { room } = audit;
  audit.room = (client, limitMs) => {
    waiting.began();
    return room(client, limitMs);
  };
  const [url = ""] = running.urls();
  return {
    url,
    gate: running.gate,
    /** Resolves when a request has come as far as the audit. */
    nextWaits: () => new Promise<void>((resolve) => Object.assign(waiting, { began: resolve })),
    decisions: () => decided.filter((line) => line.includes('"requestId"')),
    unlock: () => lock.close(),
    async [Symbol.asyncDispose]() {
      lock.close();
      await running.drain();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("while the audit has no room", () => {
  test("requests wait, and the gate still tells how it is", async () => {
    await using full = await openFullGate();
    const waits = full.nextWaits();
    const waiting = fetch(`${full.url}/orders`);
    await waits;
    for (const name of ["health", "ready"]) {
      const answer = await fetch(`${full.url}/.claimgate/${name}`);
      expect([name, answer.status]).toEqual([name, 200]);
    }
    expect(full.decisions()).toEqual([]);
    full.unlock();
    expect((await waiting).status).toBe(200);
  });

  test("who may not ask any more when there is room is nobody, and reaches no route", async () => {
    await using full = await openFullGate({ trustedProxies: ["127.0.0.1"] });
    const waits = full.nextWaits();
    const asking = fetch(`${full.url}/.claimgate/verify`, {
      headers: { "X-Original-URL": "http://localhost/", "X-Original-Method": "GET" },
    });
    await waits;
    const { site } = full.gate;
    full.gate.site = { ...site, surroundings: { ...site.surroundings, isTrusted: () => false } };
    full.unlock();
    expect((await asking).status).toBe(404);
  });

  test("a client that gives up is forgotten: nothing is decided or forwarded for it", async () => {
    await using full = await openFullGate();
    const waits = full.nextWaits();
    const client = new AbortController();
    const gone = fetch(`${full.url}/gone`, { signal: client.signal }).catch(() => "gone");
    await waits;
    client.abort();
    expect(await gone).toBe("gone");
    full.unlock();
    expect((await fetch(`${full.url}/stays`)).status).toBe(200);
    expect(full.decisions().join("\n")).toContain('"/stays"');
    expect(full.decisions().join("\n")).not.toContain('"/gone"');
  });
});

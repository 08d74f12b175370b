import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { startGate } from "../../src/cli/start-gate.ts";
import { ensureDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { mintToken } from "../../src/idp/mint.ts";
import { DEVELOPMENT_ISSUER } from "../../src/lib/development.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { tempFolder } from "../support/temp-folder.ts";

const SECOND_TIME_ONLY = `
import { allow, definePolicy, deny } from "claimgate";
export default definePolicy({
  description: "Lets a token pass that was refused before",
  evaluate: async ({ history }) => {
    const { requests, deniedInRow, addresses, devices } = await history();
    if (requests === 0) return deny("never_seen", "come again", { unusual: true });
    const where = [...addresses.map(({ ip }) => ip), ...devices.map(({ name }) => name)];
    return allow({ headers: { "X-Past": JSON.stringify({ requests, deniedInRow, where }) } });
  },
});
`;

async function openGate() {
  const text = stringify({
    listen: "127.0.0.1:0",
    issuers: [{ name: "dev", development: true }],
    routes: [{ name: "all", upstream: "echo", policies: ["second-time-only"] }],
  });
  const folder = await tempFolder({
    "claimgate.yaml": text,
    "policies/second-time-only.ts": SECOND_TIME_ONLY,
  });
  const sink = { write() {}, async flush() {} };
  const running = await startGate({
    file: join(folder.path, "claimgate.yaml"),
    environment: {},
    now: Date.now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now: Date.now }),
  });
  const [key] = await ensureDevelopmentKeys(join(folder.path, ".claimgate"));
  if (key === undefined) throw new Error("there is no development key");
  const token = await mintToken(key, {
    issuer: DEVELOPMENT_ISSUER,
    subject: "alice",
    nowMs: Date.now(),
  });
  const [url = ""] = running.urls();
  return {
    gate: running.gate,
    ask: () =>
      fetch(`${url}/`, { headers: { Authorization: `Bearer ${token}`, "User-Agent": "curl/8" } }),
    async [Symbol.asyncDispose]() {
      await running.drain();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("what a policy is told of a token's past", () => {
  test("is what the gate has seen of it, the present request not counted", async () => {
    await using opened = await openGate();
    expect((await opened.ask()).status).toBe(403);
    const second = await opened.ask();
    expect(second.status).toBe(200);
    const { headers } = (await second.json()) as { headers: Record<string, string> };
    const past = JSON.parse(headers["x-past"] ?? "{}");
    expect(past).toEqual({
      requests: 1,
      deniedInRow: 1,
      where: ["127.0.0.1", "curl on unknown"],
    });
  });

  test("is in the ledger, with what was unusual, and in the metrics", async () => {
    await using opened = await openGate();
    await opened.ask();
    await opened.ask();
    const [seen] = await opened.gate.ledger.sightings.list({ subject: "alice", limit: 10 });
    expect(seen).toMatchObject({ kind: "token", requests: 2, denials: 1, deniedInRow: 0 });
    expect(seen?.routes.map(({ name }) => name)).toEqual(["all"]);
    expect(seen?.unusual.map(({ policy, signal }) => [policy, signal])).toEqual([
      ["second-time-only", "never_seen"],
    ]);
    const counts = opened.gate.metrics.counts.routes.get("all");
    expect(counts?.denied.get("policy_denied")?.count).toBe(1);
    expect(counts?.forwarded[2]).toBe(1);
  });
});

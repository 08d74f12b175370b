/**
 * A process of its own for `sightings-memory.test.ts`: notes requests of many tokens and prints
 * what that takes of memory.
 *
 * @module
 */
import { openSightings } from "../../src/ledger/sightings.ts";
import type { Client, Token } from "../../src/types.ts";

const [mode = "live"] = process.argv.slice(2);
const LIVE = 200_000;
const DISTINCT = 1_000_000;
const STEP = 5_000;

let stored = 0;
const sightings = openSightings({
  store: {
    // As if it were another process: nothing of it is kept here.
    noteSightings: async (batch) => {
      stored += structuredClone(batch).length;
    },
    sightings: async () => [],
    sweepSightings: async () => 0,
  },
  tokenHash: { of: ({ id }) => id?.slice(14) },
  signedOutAt: () => undefined,
  now: Date.now,
  retainMs: () => 0,
  log: { event: (level, event) => process.stderr.write(`${level} ${event}\n`) },
});

/** Made anew, as from parsed tokens: nothing is shared with another one but what the gate shares. */
function tokenOf(number: number): Token {
  const claims = JSON.parse(`{"azp":"client-${number % 20}"}`);
  const seconds = Math.floor(Date.now() / 1_000);
  return {
    issuer: "https://issuer.example",
    issuerName: "main",
    subject: `user-${number}@example.com`,
    audience: ["api"],
    id: `4b2c1f0e-0000-4000-8000-${String(number).padStart(12, "0")}`,
    issuedAt: seconds,
    expiresAt: seconds + 3_600,
    scopes: [],
    claims,
  };
}

function clientOf(number: number): Client {
  const ip = `10.${number % 200}.${(number >> 8) % 250}.${(number >> 16) % 250}`;
  return { ip, device: { browser: "firefox", platform: "windows", mobile: false } };
}

async function noteAll(count: number, from = 0): Promise<void> {
  for (let at = from; at < from + count; at += STEP) {
    for (let number = at; number < at + STEP; number += 1) {
      const token = tokenOf(number);
      const seen = { token, route: "api", denied: false };
      sightings.note({ ...seen, client: clientOf(number) });
      sightings.note({ ...seen, client: clientOf(number + 7) });
      if (mode === "live" && number % 500 === 0) await sightings.history(token);
    }
    await sightings.flush();
    collectSometimes(at);
  }
}

/** A gate has idle moments, in which this is done by itself; here there are none. */
function collectSometimes(at: number): void {
  if (at % (4 * STEP) === 0) Bun.gc(true);
}

/** What stays: the allocator gives back what is free a moment later. */
async function settledMb(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 15; look += 1) {
    Bun.gc(true);
    least = Math.min(least, process.memoryUsage().rss / 1024 / 1024);
    await Bun.sleep(100);
  }
  return least;
}

// The machinery itself is not what is measured.
await noteAll(STEP, 10_000_000);
const before = await settledMb();
if (mode === "live") {
  await noteAll(LIVE);
  // Whoever asks for a history has it kept: here everybody does.
  for (let at = 0; at < LIVE; at += 500) {
    const tokens = Array.from({ length: 500 }, (_, more) => tokenOf(at + more));
    await Promise.all(tokens.map((token) => sightings.history(token)));
    for (const token of tokens) {
      sightings.note({ token, client: clientOf(at), route: "api", denied: false });
    }
    await sightings.flush();
    collectSometimes(at);
  }
  console.log(JSON.stringify({ mb: (await settledMb()) - before, stored }));
} else {
  await noteAll(DISTINCT / 2);
  const half = await settledMb();
  await noteAll(DISTINCT / 2, DISTINCT / 2);
  const mb = await settledMb();
  console.log(JSON.stringify({ mb: mb - before, grownMb: mb - half, stored }));
}
process.exit(0);

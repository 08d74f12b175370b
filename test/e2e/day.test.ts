/**
 * A Monday of 2,000 people and ten thieves against the executable, request by request, on a clock that
 * goes as fast as the machine does: the gate sees a whole day in about a minute. docs/day.md shows
 * what an operator sees at its end.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { makeWorld } from "../policies/unusual-simulation/world.ts";
import { describeWith } from "../support/needs.ts";
import { createSigner } from "../support/signer.ts";
import type { SpawnedGate } from "../support/spawn-gate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { run, until } from "./claimgate.ts";
import { type Clock, startClock } from "./day/clock.ts";
import { memoryOf, startGate } from "./day/gate.ts";
import { type Cause, DAY_BEGINS_MS, type Day, dayOf } from "./day/model.ts";
import { type Outcome, replay } from "./day/replay.ts";

/** With all kinds of theft but that after signing out, of which this gate would not hear. */
const SCOPE = { seed: 256, people: 2_000, diligence: 0.25 };
/** For machines far slower than any it was made on: how fast is not what is tested. */
const DAY_LIMIT_MS = 380_000;
const TEST_LIMIT_MS = 60_000;
const SAVED_LIMIT_MS = 60_000;
const MOST_MEGABYTES = 512;

/** What each is answered, whoever asks. */
const ANSWERS: Readonly<Record<Cause, string>> = {
  "expired token": "401 token_expired",
  "forged token": "401 token_invalid",
  "no token": "401 token_missing",
  "no such page": "404 route_not_found",
  "wrong method": "405 method_not_allowed",
  "wrong role": "403 policy_denied",
  "after hours": "403 policy_denied",
};

/** Those of which docs/unusual-activity.md says that they are seen. */
const DETECTABLE = [
  "from abroad, with another device",
  "from abroad, with the owner's user agent",
  "from another network of the same city, with another device",
  "to copy all there is, from a cloud of the country",
];

type Summary = {
  readonly decisions: number;
  readonly denied: number;
  readonly acts: number;
  readonly damaged: number;
  readonly routes: readonly { route?: string; decisions: number; denied: number }[];
  readonly refusals: readonly {
    readonly status: number;
    readonly code: string;
    readonly reason?: string;
    readonly policy?: string;
    readonly requests: number;
  }[];
  readonly revoked: readonly {
    readonly actor: string;
    readonly subject: string;
    readonly token: string;
    readonly refused: number;
  }[];
  readonly chain: { readonly ok: boolean; readonly records: number };
};

describeWith("faketime", "a day of 2,000 people", () => {
  let clock: Clock;
  let folder: TempFolder;
  let gate: SpawnedGate;
  let day: Day;
  let outcome: Outcome;
  let summary: Summary;

  const command = async (...args: string[]) => {
    const ended = await run(args, { folder: gate.folder.path, environment: clock.environment });
    expect({ ...ended, out: "" }).toEqual({ exitCode: 0, out: "", err: "" });
    return ended.out;
  };
  const summarize = async (): Promise<Summary> =>
    JSON.parse(await command("audit", "--summary", "--since", "24h", "--json"));

  beforeAll(async () => {
    const world = makeWorld();
    day = dayOf(world, SCOPE);
    clock = await startClock(DAY_BEGINS_MS);
    folder = await tempFolder();
    const signer = await createSigner("EdDSA");
    const forger = await createSigner("EdDSA", signer.kid);
    gate = await startGate({ folder, clock, places: world.database, signer });
    const beganMs = performance.now();
    outcome = await replay(day, { url: gate.url, clock, signer, forger });
    const seconds = Math.round((performance.now() - beganMs) / 1_000);
    const { most, now } = await memoryOf(gate.pid);
    console.log(`${outcome.sent} requests in ${seconds} s; memory ${now} MB, at most ${most} MB`);
    await until("every record", SAVED_LIMIT_MS, async () => {
      summary = await summarize();
      const { decisions, acts, chain } = summary;
      return decisions >= outcome.sent && chain.records >= decisions + acts;
    });
  }, DAY_LIMIT_MS);

  afterAll(async () => {
    await gate?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
    clock?.[Symbol.dispose]();
  });

  test("is 200,000 requests or more, and each is recorded", async () => {
    expect(outcome.sent).toBeGreaterThanOrEqual(200_000);
    expect(outcome.sent).toBe(day.requests);
    expect(outcome.tokens).toBeGreaterThan(5_000);
    expect(summary.decisions).toBe(day.requests);
    expect(summary.damaged).toBe(0);
    expect((await memoryOf(gate.pid)).most).toBeLessThan(MOST_MEGABYTES);
  });

  test("brings each mistake and each stranger the answer that is theirs", () => {
    const expected = new Map<Cause, ReadonlyMap<string, number>>();
    for (const { cause, count } of day.visits) {
      if (cause === undefined) continue;
      const before = expected.get(cause)?.get(ANSWERS[cause]) ?? 0;
      expected.set(cause, new Map([[ANSWERS[cause], before + count]]));
    }
    expect([...expected.keys()].sort()).toEqual(Object.keys(ANSWERS).sort() as Cause[]);
    expect(outcome.caused).toEqual(expected);
  });

  test("is told by one command as its clients saw it, by route and by code", () => {
    const routes = new Map<string, { decisions: number; denied: number }>();
    const codes = new Map<string, number>();
    for (const [words, count] of outcome.answers) {
      const [route = "", status = "", code] = words.split(" ");
      const sums = routes.get(route) ?? { decisions: 0, denied: 0 };
      sums.decisions += count;
      if (code !== undefined) sums.denied += count;
      routes.set(route, sums);
      if (code !== undefined) bump(codes, `${status} ${code}`, count);
    }
    const told = new Map<string, number>();
    for (const { status, code, requests } of summary.refusals) {
      bump(told, `${status} ${code}`, requests);
    }
    expect(told).toEqual(codes);
    const routesTold = summary.routes.map(
      ({ route = "(none)", ...sums }) => [route, sums] as const,
    );
    expect(new Map(routesTold)).toEqual(routes);
    const reasonOf = (policy: string) =>
      summary.refusals.filter((one) => one.policy === policy).map(({ reason }) => reason);
    expect(reasonOf("require-roles")).toEqual(["role_missing"]);
    expect(reasonOf("office-hours")).toEqual(["outside_hours"]);
  });

  test("ends with the stolen tokens revoked, and nobody got in with one from then on", () => {
    const stolen = outcome.thefts.map(({ credential: { subject, theft = "" }, ...counts }) => ({
      subject,
      isDetectable: DETECTABLE.includes(theft),
      ...counts,
    }));
    expect(stolen).toHaveLength(10);
    expect(stolen.filter(({ isDetectable }) => isDetectable)).toHaveLength(8);
    expect(stolen.filter(({ passedSince }) => passedSince > 0)).toEqual([]);
    const missed = stolen.filter((one) => one.isDetectable && one.revoked === 0);
    expect(missed).toEqual([]);
    const told = summary.revoked.map(({ actor, subject, refused }) => ({
      actor,
      subject,
      refused,
    }));
    for (const { subject, revoked: refused } of stolen.filter(({ revoked }) => revoked > 0)) {
      expect(told).toContainEqual({ actor: "policy unusual-activity", subject, refused });
    }
  });

  test("disturbs at most one of the people whose tokens were their own", () => {
    expect([...outcome.disturbed].slice(1)).toEqual([]);
  });

  test(
    "leaves a list of unusual tokens with all of those in it",
    async () => {
      const listed: readonly { readonly id: string; readonly subject: string }[] = JSON.parse(
        await command("tokens", "--unusual", "--json", "--limit", "100000"),
      );
      const ids = new Set(listed.map(({ id }) => id));
      expect(summary.revoked.filter(({ token }) => !ids.has(token))).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "leaves an audit that holds",
    async () => {
      expect(summary.chain).toMatchObject({ ok: true, records: day.requests + summary.acts });
      const out = await command("audit", "verify");
      expect(out).toBe(`${day.requests + summary.acts} records in 1 chain: all hold\n`);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is what the page for operators shows",
    async () => {
      const shown = await command("audit", "--summary", "--since", "24h");
      const page = await Bun.file(join(import.meta.dir, "../../docs/day.md")).text();
      expect(page).toContain(day.requests.toLocaleString("en-US"));
      // What is shown without numbers and ids stays the same from run to run.
      const rows = (text: string) =>
        text
          .split("\n")
          .filter((line) => /policy unusual-activity|^ *[\d,]+ {2}4\d\d /.test(line))
          .map((line) =>
            line
              .replace(/token [\w-]{22}|[\d,]+/g, "#")
              .replace(/ +/g, " ")
              .trim(),
          );
      expect(rows(page)).toEqual(rows(shown));
    },
    TEST_LIMIT_MS,
  );
});

function bump(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

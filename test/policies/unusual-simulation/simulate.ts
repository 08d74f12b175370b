/**
 * Takes every token of the model through the shipped policy: the SDK's own evaluation, the
 * ledger's own memory, a geo database in MaxMind's format, devices read from user agents.
 */
import { join } from "node:path";
import { openGeo, type Place } from "../../../src/gate/geo.ts";
import {
  type Entry,
  historyOf,
  newEntry,
  noteRequest,
  sent,
  takeFresh,
} from "../../../src/ledger/sighting-entry.ts";
import { readDevice } from "../../../src/lib/device.ts";
import type { Program } from "../../../src/policy/compose.ts";
import { evaluate } from "../../../src/policy/evaluate.ts";
import type { Client, Device, Inquiry, Token } from "../../../src/types.ts";
import { compiled, loaded, ref } from "../../policy/policy-folder.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { DAY, type Happening, type Life, WEEK_BEGINS_MS } from "./life.ts";
import { personOf, weekOf } from "./people.ts";
import { type Theft, type TheftKind, theftsOf } from "./thefts.ts";
import { AGENTS, type Agent, makeWorld } from "./world.ts";

/** What the gate's database knows. */
export type Geo = "places" | "countries" | "none";

/** How many there are. */
export const PEOPLE = 10_000;

export type Scope = {
  readonly seed: number;
  /** So many of the people, the first ones; all thefts in any case. */
  readonly people: number;
  readonly geo: Geo;
  /** Options of the policy, as the configuration has them. */
  readonly options?: unknown;
};

/** A token that was challenged or revoked. */
export type Alarm = {
  readonly life: Life;
  readonly verdict: "challenge" | "deny";
  readonly code: string;
  readonly atMs: number;
  /** Requests of the thief that had passed by then. */
  readonly passed: number;
};

export type Outcome = {
  readonly scope: Scope;
  /** Tokens that were looked at, and questions that the policy was asked. */
  readonly tokens: number;
  readonly questions: number;
  /** Of people whose token was their own all the time; one each. */
  readonly falseAlarms: readonly Alarm[];
  /** Of people who had signed out and whose pages did not know it. */
  readonly leftOpen: number;
  readonly thefts: readonly (Theft & { readonly caught: Alarm | undefined })[];
  /** Ordinary tokens in which something was noted that did not suffice, by signal. */
  readonly noted: Readonly<Record<string, number>>;
};

export async function simulate(scope: Scope): Promise<Outcome> {
  const world = makeWorld();
  await using folder = await tempFolder();
  const file = join(folder.path, "places.mmdb");
  await Bun.write(file, world.database);
  const run = new Run(scope, await openGeo(file), await policyOf(scope.options));

  const alarmed = new Map<number, Alarm>();
  const leftOpen = new Set<number>();
  for (let number = 0; number < scope.people; number += 1) {
    for (const life of weekOf(world, personOf(world, scope.seed, number))) {
      const alarm = await run.live(life);
      if (alarm === undefined) continue;
      if (alarm.code === "signed_out") leftOpen.add(number);
      else if (!alarmed.has(number)) alarmed.set(number, alarm);
    }
  }
  const { noted } = run;
  run.noted = {};
  const thefts: (Theft & { readonly caught: Alarm | undefined })[] = [];
  for (const theft of theftsOf(world, scope.seed, PEOPLE)) {
    const alarm = await run.live(theft.life);
    const isEarly = alarm !== undefined && alarm.atMs < theft.beginsMs;
    if (isEarly) alarmed.set(theft.life.user, alarm);
    thefts.push({ ...theft, caught: isEarly ? undefined : alarm });
  }
  const { tokens, questions } = run;
  const falseAlarms = [...alarmed.values()];
  return { scope, tokens, questions, falseAlarms, leftOpen: leftOpen.size, thefts, noted };
}

async function policyOf(options: unknown): Promise<Program> {
  return compiled(await loaded("/nowhere/policies"), ref("unusual-activity", options));
}

/** What was seen is brought to the store this often; histories are put together of both. */
const FLUSH_MS = 1_000;
const REPEATED_MS = 60_000;
const HEADERS = new Headers();
const TIMEOUT_MS = 10_000;

class Run {
  tokens = 0;
  questions = 0;
  noted: Record<string, number> = {};
  readonly #devices = new Map<string, Device>();
  readonly #places = new Map<string, Place>();

  constructor(
    readonly scope: Scope,
    readonly placeOf: (ip: string) => Place,
    readonly program: Program,
  ) {}

  /** @returns The alarm that ended it. */
  async live(life: Life): Promise<Alarm | undefined> {
    this.tokens += 1;
    const happenings = [...life.happenings].sort((one, other) => one.atMs - other.atMs);
    const token = tokenOf(life, this.tokens, happenings);
    const entry = newEntry({ id: token.id ?? "", token, lint: [], key: undefined });
    entry.readAtMs = 0;
    const seen = new Set<string>();
    let flushedMs = 0;
    let asked: Happening | undefined;
    let passed = 0;
    for (const happening of happenings) {
      const { atMs, count = 1, thief } = happening;
      if (atMs - flushedMs >= FLUSH_MS) {
        if (takeFresh(entry) !== undefined) sent(entry);
        flushedMs = atMs;
      }
      const client = this.#clientOf(happening);
      if (!isNews(happening, asked)) {
        note(entry, token, client, happening);
        continue;
      }
      asked = happening;
      const { verdict, outcomes } = await this.#ask(life, entry, token, client, atMs);
      const unusual = outcomes[0]?.unusual ?? [];
      if (verdict.kind === "fault") throw new Error(`the policy failed: ${verdict.detail}`);
      if (verdict.kind !== "allow") {
        const code = verdict.kind === "deny" ? verdict.code : (unusual[0] ?? "");
        return { life, verdict: verdict.kind, code, atMs, passed };
      }
      for (const signal of unusual) seen.add(signal);
      note(entry, token, client, happening);
      if (thief) passed += count;
    }
    for (const signal of seen) {
      this.noted[signal] = (this.noted[signal] ?? 0) + 1;
    }
    return undefined;
  }

  async #ask(life: Life, entry: Entry, token: Token, client: Client, nowMs: number) {
    this.questions += 1;
    const inquiry: Inquiry = {
      id: "00000000-0000-7000-8000-000000000000",
      method: "GET",
      scheme: "https",
      host: "app.example",
      authority: "app.example",
      path: "/",
      query: "",
      headers: HEADERS,
      client,
      nowMs,
    };
    const { signedOutMs } = life;
    const isOut = signedOutMs !== undefined && signedOutMs <= nowMs;
    const history = async () => ({ ...historyOf(entry, nowMs), ...(isOut && { signedOutMs }) });
    return evaluate(this.program, { token, inquiry, route: "app", history }, TIMEOUT_MS);
  }

  #clientOf({ ip, agent, atMs }: Happening): Client {
    let place = this.#places.get(ip);
    if (place === undefined) {
      place = this.scope.geo === "none" ? {} : this.placeOf(ip);
      this.#places.set(ip, place);
    }
    const { country, location } = place;
    const isKnown = this.scope.geo !== "countries";
    return {
      ip,
      country,
      location: isKnown ? location : undefined,
      device: this.#deviceOf(agent, atMs),
    };
  }

  /** Browsers are one version further after Wednesday noon. */
  #deviceOf(agent: Agent, atMs: number): Device {
    const userAgent = AGENTS[agent](atMs < WEEK_BEGINS_MS + 2.5 * DAY ? 144 : 145);
    let device = this.#devices.get(userAgent);
    if (device === undefined) {
      device = readDevice(new Headers({ "User-Agent": userAgent }));
      this.#devices.set(userAgent, device);
    }
    return device;
  }
}

/** What only repeats the one before it, soon after, is counted, and the policy is not asked. */
function isNews(one: Happening, asked: Happening | undefined): boolean {
  if (asked === undefined || one.thief === true || one.denied === true) return true;
  return one.ip !== asked.ip || one.agent !== asked.agent || one.atMs - asked.atMs > REPEATED_MS;
}

function note(
  entry: Entry,
  token: Token,
  client: Client,
  { atMs, count = 1, denied }: Happening,
): void {
  for (let nth = 0; nth < count; nth += 1) {
    noteRequest(entry, { token, client, route: "app", denied: denied === true }, atMs);
  }
}

function tokenOf({ user }: Life, number: number, happenings: readonly Happening[]): Token {
  const firstMs = happenings[0]?.atMs ?? 0;
  const issuedAt = Math.floor(firstMs / 1_000);
  return {
    issuer: "https://id.example",
    issuerName: "id",
    subject: `user-${user}`,
    audience: ["api"],
    id: `token-${number}`,
    issuedAt,
    expiresAt: issuedAt + 86_400,
    scopes: [],
    claims: {},
  };
}

/** Per kind: how many there were, and how many were caught. */
export function byKind({ thefts }: Pick<Outcome, "thefts">) {
  const kinds = new Map<TheftKind, { kind: TheftKind; of: number; caught: number }>();
  for (const { kind, caught } of thefts) {
    const sum = kinds.get(kind) ?? { kind, of: 0, caught: 0 };
    const more = caught === undefined ? 0 : 1;
    kinds.set(kind, { kind, of: sum.of + 1, caught: sum.caught + more });
  }
  return [...kinds.values()];
}

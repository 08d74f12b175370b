/**
 * A Monday of 2,000 people and of some who should not be there, as requests in order of time. People,
 * networks and thefts are those of `test/policies/unusual-simulation`; how much of it there is, and
 * what goes wrong for ordinary reasons, is made here.
 */
import {
  browse,
  DAY,
  type Happening,
  HOUR,
  type Life,
  MINUTE,
  SECOND,
  WEEK_BEGINS_MS,
} from "../../policies/unusual-simulation/life.ts";
import { atHome, type Person, personOf, weekOf } from "../../policies/unusual-simulation/people.ts";
import { type Random, randomOf } from "../../policies/unusual-simulation/random.ts";
import { type TheftKind, theftsOf } from "../../policies/unusual-simulation/thefts.ts";
import { AGENTS, type Agent, type World } from "../../policies/unusual-simulation/world.ts";

export const DAY_BEGINS_MS = WEEK_BEGINS_MS;

/** A token, until it is signed. */
export type Credential = {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly issuedMs: number;
  readonly lifetimeMs: number;
  /** Signed with a key that the issuer does not have. */
  readonly forged?: true;
  /** Of a token that is stolen. */
  readonly theft?: TheftKind;
};

/** What happens for a reason that the model knows; its answers are known beforehand. */
export type Cause =
  | "expired token"
  | "forged token"
  | "no token"
  | "no such page"
  | "wrong method"
  | "wrong role"
  | "after hours";

/** One request, or several at once. */
export type Visit = {
  readonly atMs: number;
  readonly ip: string;
  readonly agent: Agent;
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly count: number;
  readonly credential?: Credential;
  readonly by: "owner" | "thief" | "stranger";
  readonly cause?: Cause;
};

export type Day = {
  readonly visits: readonly Visit[];
  readonly requests: number;
  readonly thefts: readonly Credential[];
};

type Scope = {
  readonly seed: number;
  readonly people: number;
  /** The smaller, the fewer stretches of work. */
  readonly diligence: number;
};

export function dayOf(world: World, scope: Scope): Day {
  const visits: Visit[] = [];
  for (let number = 0; number < scope.people; number += 1) {
    visits.push(...visitsOf(world, scope, personOf(world, scope.seed, number)));
  }
  const thefts: Credential[] = [];
  for (const { kind, life, beginsMs } of theftsOf(world, scope.seed, scope.people)) {
    // The gate of this day hears of nobody who signs out.
    if (beginsMs > DAY_BEGINS_MS + DAY || life.signedOutMs !== undefined) continue;
    const credential = { ...credentialOf(life, ["staff"], 3 * HOUR), theft: kind };
    thefts.push(credential);
    const random = randomOf(scope.seed, "stolen", thefts.length);
    visits.push(...life.happenings.map((one) => visitOf(one, credential, pageOf(random))));
  }
  visits.push(...strangers(world, scope.seed));
  visits.sort((one, other) => one.atMs - other.atMs);
  return { visits, requests: visits.reduce((sum, { count }) => sum + count, 0), thefts };
}

function visitsOf(world: World, { seed, diligence }: Scope, person: Person): Visit[] {
  const random = randomOf(seed, "day", person.number);
  const roles = rolesOf(person);
  const visits: Visit[] = [];
  for (const life of weekOf(world, person)) {
    const [first] = life.happenings;
    if (first === undefined || first.atMs >= DAY_BEGINS_MS + DAY) continue;
    const isService = life.about.startsWith("service");
    const credential = credentialOf(life, isService ? ["service"] : roles, person.tokenMs);
    for (const one of life.happenings) {
      if (one.atMs > (life.signedOutMs ?? Number.POSITIVE_INFINITY)) continue;
      if (one.atMs >= DAY_BEGINS_MS + DAY) continue;
      visits.push(visitOf(one, credential, isService ? batchOf(random) : pageOf(random)));
    }
  }
  return [...visits, ...work({ random, person, roles, diligence })];
}

function rolesOf({ number }: Person): readonly string[] {
  const roles = ["staff"];
  if (number % 10 === 3) roles.push("finance");
  if (number % 40 === 7) roles.push("admin");
  return roles;
}

/** Signed some seconds before it is first used; it lasts for as long as it is used. */
function credentialOf(life: Life, roles: readonly string[], usualMs: number): Credential {
  const times = life.happenings.map(({ atMs }) => atMs);
  const issuedMs = Math.min(...times) - 2 * SECOND;
  const neededMs = Math.max(...times) - issuedMs + 5 * MINUTE;
  const lifetimeMs = Math.min(DAY, Math.max(neededMs, usualMs));
  return { subject: `user-${life.user}`, roles, issuedMs, lifetimeMs };
}

type Page = Pick<Visit, "method" | "path"> & { readonly isPublic?: true };

function visitOf(
  { atMs, ip, agent, count = 1, thief }: Happening,
  credential: Credential,
  { isPublic, ...page }: Page,
): Visit {
  const by = thief ? ("thief" as const) : ("owner" as const);
  const isCopying = thief && credential.theft?.startsWith("to copy");
  const common = { atMs, ip, agent, count: isCopying ? count : thinned(count), by };
  // Nobody steals what everybody may have.
  if (isPublic && !thief) return { ...common, ...page };
  const path = isPublic ? "/wiki/logo" : page.path;
  return { ...common, ...page, path, credential };
}

/** What a page loads at once is one request here, and batches are smaller; exports are as they are. */
function thinned(count: number): number {
  if (count <= 6) return 1;
  return count >= 150 ? 60 : count;
}

function pageOf(random: Random): Page {
  const number = random.whole(1, 5_000);
  return random.weighted<Page>([
    [{ method: "GET", path: `/wiki/pages/${number}` }, 65],
    [{ method: "GET", path: `/crm/customers/${number}` }, 15],
    [{ method: "POST", path: `/crm/customers/${number}/notes` }, 5],
    [{ method: "GET", path: `/assets/${number}.svg`, isPublic: true }, 15],
  ]);
}

function batchOf(random: Random): Page {
  return { method: "POST", path: `/batch/jobs/${random.whole(1, 500)}` };
}

type Worker = {
  readonly random: Random;
  readonly person: Person;
  readonly roles: readonly string[];
  readonly diligence: number;
};

/** Hours of work, some with a stretch of it on pages of these applications; and what goes wrong. */
function work({ random, person, roles, diligence }: Worker): Visit[] {
  const { laptop, office, city, tokenMs, number } = person;
  const beginsMs = DAY_BEGINS_MS + random.between(7.5, 10) * HOUR;
  const endsMs = beginsMs + random.between(7, 9) * HOUR;
  const isHome = city !== office.city || random.chance(0.35);
  const home = atHome({ ...person, random }, laptop);
  const hand = isHome ? home : () => ({ agent: laptop, ip: random.pick(office.addresses) });
  const subject = `user-${number}`;
  const visits: Visit[] = [];
  let credential: Credential | undefined;
  for (let hourMs = beginsMs; hourMs < endsMs; hourMs += HOUR) {
    if (!random.chance(diligence)) continue;
    const untilMs = hourMs + random.between(1, 4) * MINUTE;
    const isSpent = credential && credential.issuedMs + credential.lifetimeMs < untilMs + MINUTE;
    if (credential === undefined || isSpent) {
      // A laptop that was asleep still has its old token, for one page.
      if (isSpent && random.chance(0.05)) {
        const old = { subject, roles, issuedMs: hourMs - 3 * HOUR, lifetimeMs: HOUR };
        visits.push(caused("expired token", "/wiki/pages/1", hourMs - 5 * SECOND, hand(), old));
      }
      credential = { subject, roles, issuedMs: hourMs - 2 * SECOND, lifetimeMs: tokenMs };
    }
    for (const one of browse(random, hourMs, untilMs, hand)) {
      visits.push(visitOf(one, credential, pageOf(random)));
    }
    if (!roles.includes("admin") && random.chance(0.01)) {
      visits.push(caused("wrong role", "/admin/users", untilMs + SECOND, hand(), credential));
    }
    if (random.chance(0.003)) {
      const visit = caused("wrong method", "/crm/customers/1", untilMs + SECOND, hand());
      visits.push({ ...visit, credential, method: "DELETE" });
    }
    if (roles.includes("finance") && random.chance(0.2)) {
      const path = "/payroll/months/2026-02";
      const visit = { ...visitOf({ atMs: untilMs, ...hand() }, credential, pageOf(random)), path };
      visits.push({ ...visit, credential, method: "GET" });
    }
  }
  if (roles.includes("finance") && random.chance(0.15)) {
    const atMs = DAY_BEGINS_MS + random.between(20.5, 23) * HOUR;
    const late = { subject, roles, issuedMs: atMs - SECOND, lifetimeMs: HOUR };
    visits.push(caused("after hours", "/payroll/months/2026-02", atMs, home(), late));
  }
  return visits;
}

function caused(
  cause: Cause,
  path: string,
  atMs: number,
  hand: Pick<Visit, "ip" | "agent">,
  credential?: Credential,
): Visit {
  const visit: Visit = { ...hand, atMs, method: "GET", path, count: 1, by: "owner", cause };
  return credential === undefined ? visit : { ...visit, credential };
}

/** What scanners look for, and what no route here has. */
const SCANNED = ["/.env", "/wp-login.php", "/.git/config", "/actuator/env", "/phpinfo.php"];

/** Scanners from clouds, a few requests a second for some minutes; two of them bring tokens that they have made. */
function strangers(world: World, seed: number): Visit[] {
  return Array.from({ length: 8 }, (_, nth) => {
    const random = randomOf(seed, "scanner", nth);
    const ip = world.address(random, random.pick(world.others), "cloud");
    const hand = { ip, agent: random.pick<Agent>(["python", "go", "curl"]) };
    const beginsMs = DAY_BEGINS_MS + random.between(0.5, 23) * HOUR;
    const forged = {
      subject: "admin",
      roles: ["admin"],
      issuedMs: beginsMs,
      forged: true,
    } as const;
    return Array.from({ length: 250 }, (_, at): Visit => {
      const atMs = beginsMs + at * random.between(400, 600);
      const common = { by: "stranger" } as const;
      if (random.chance(0.6)) {
        return { ...caused("no such page", random.pick(SCANNED), atMs, hand), ...common };
      }
      if (nth >= 2) return { ...caused("no token", "/wiki/pages/1", atMs, hand), ...common };
      const credential = { ...forged, lifetimeMs: HOUR };
      return { ...caused("forged token", "/admin/users", atMs, hand, credential), ...common };
    });
  }).flat();
}

export function userAgentOf({ agent }: Visit): string {
  return AGENTS[agent](144);
}

/** Tokens in a thief's hands, in ways of which some cannot be told from their owner's. */
import {
  browse,
  DAY,
  type Happening,
  HOUR,
  type Life,
  MINUTE,
  poll,
  SECOND,
  WEEK_BEGINS_MS,
} from "./life.ts";
import { atHome, type Person, personOf } from "./people.ts";
import { type Random, randomOf } from "./random.ts";
import type { Agent, City, World } from "./world.ts";

/** Fifty. How many there are of each kind is a guess; that of the last nobody can tell from its owner. */
const KINDS = {
  "from abroad, with another device": 17,
  "from abroad, with the owner's user agent": 8,
  "from another network of the same city, with another device": 11,
  "slowly, by hand, with the owner's user agent": 2,
  "to copy all there is, from a cloud of the country": 6,
  "after the owner has signed out": 5,
  "from the owner's own office": 1,
} as const;
export type TheftKind = keyof typeof KINDS;

export type Theft = { readonly kind: TheftKind; readonly beginsMs: number; readonly life: Life };

/** @param people How many there are to steal from. */
export function theftsOf(world: World, seed: number, people: number): readonly Theft[] {
  return Object.entries(KINDS).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, nth) => {
      const random = randomOf(seed, "theft", kind, nth);
      const victim = personOf(world, seed, random.whole(0, people - 1));
      return theft(world, random, kind as TheftKind, victim, nth);
    }),
  );
}

const THIEVES: readonly (readonly [Agent, number])[] = [
  ["chromeWindows", 30],
  ["firefoxLinux", 15],
  ["chromeLinux", 15],
  ["curl", 10],
  ["python", 20],
  ["go", 10],
];

/** What the thief does, from when on, and until when the token is good for anything. */
type Plan = {
  readonly random: Random;
  readonly world: World;
  readonly victim: Person;
  /** What the owner comes with. */
  readonly own: Agent;
  readonly fromMs: number;
  readonly untilMs: number;
};

function theft(world: World, random: Random, kind: TheftKind, victim: Person, nth: number): Theft {
  // Most of what steals tokens lives in browsers of desktops.
  const own = random.chance(0.85) ? victim.laptop : victim.phone;
  const isHome = own === victim.phone || victim.city !== victim.office.city || random.chance(0.5);
  const day = random.whole(0, 4);
  const startMs = WEEK_BEGINS_MS + day * DAY + random.between(8, 15) * HOUR;
  const endMs = startMs + Math.min(victim.tokenMs, 3 * HOUR);
  const beginsMs = startMs + random.between(2, 25) * MINUTE;
  const untilMs = Math.min(endMs, beginsMs + random.between(15, 60) * MINUTE);
  const office = victim.office.addresses;
  const home = atHome({ ...victim, random }, own);
  const hand = () => (isHome ? home() : { agent: own, ip: random.pick(office) });
  const plan: Plan = { random, world, victim, own, fromMs: beginsMs, untilMs };

  const signedOutMs =
    kind === "after the owner has signed out"
      ? beginsMs - random.between(1, 20) * MINUTE
      : undefined;
  // One in ten is asleep, or has another token by now, when the thief comes.
  const isAtWork = signedOutMs === undefined && !random.chance(0.1);
  const ownUntilMs =
    signedOutMs ?? (isAtWork ? untilMs : beginsMs - random.between(0, 10) * MINUTE);
  const ownMs = Math.min(startMs, ownUntilMs - 5 * MINUTE);
  // People work for a while, and do something else for a while.
  const owners = stretches(random, ownMs, ownUntilMs).flatMap(([from, to]) =>
    browse(random, from, to, hand),
  );
  const thiefs = STEALING[kind](plan, nth).map((one): Happening => ({ ...one, thief: true }));
  return {
    kind,
    beginsMs,
    life: {
      about: `theft ${kind}`,
      user: victim.number,
      happenings: [...owners, ...thiefs],
      ...(signedOutMs !== undefined && { signedOutMs }),
    },
  };
}

/** From some minutes to half an hour, with some minutes between. The first begins at once. */
function stretches(random: Random, fromMs: number, untilMs: number): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let atMs = fromMs; atMs < untilMs; ) {
    const endMs = Math.min(untilMs, atMs + random.between(5, 30) * MINUTE);
    found.push([atMs, endMs]);
    atMs = endMs + random.between(1, 12) * MINUTE;
  }
  return found;
}

const STEALING: Readonly<Record<TheftKind, (plan: Plan, nth: number) => Happening[]>> = {
  "from abroad, with another device": (plan) => browsing(plan, abroad(plan), another(plan)),
  "from abroad, with the owner's user agent": (plan) => browsing(plan, abroad(plan), plan.own),
  "from another network of the same city, with another device": (plan) =>
    browsing(plan, acrossTown(plan), another(plan)),
  "slowly, by hand, with the owner's user agent": (plan, nth) => {
    const { random, own, fromMs, untilMs } = plan;
    const ip = nth === 0 ? inCountry(plan) : abroad(plan);
    return browse(random, fromMs, untilMs, () => ({ ip, agent: own }), 2.5 * MINUTE);
  },
  "to copy all there is, from a cloud of the country": (plan, nth) => {
    const { random, world, victim, own, fromMs, untilMs } = plan;
    const city = random.pick(compatriots(world, victim));
    const ip = world.address(random, city, "cloud");
    const agent = nth % 2 === 0 ? random.pick<Agent>(["python", "go", "curl"]) : own;
    const count = random.whole(5, 20);
    const endMs = Math.min(untilMs, fromMs + 10 * MINUTE);
    return poll(fromMs, endMs, SECOND, () => ({ ip, agent })).map((one) => ({ ...one, count }));
  },
  "after the owner has signed out": (plan) => {
    const { random, own } = plan;
    const ip = random.chance(0.5) ? abroad(plan) : acrossTown(plan);
    return browsing(plan, ip, random.chance(0.5) ? own : another(plan));
  },
  "from the owner's own office": (plan, nth) => {
    const { random, victim, own, fromMs, untilMs } = plan;
    const agent = nth % 2 === 0 ? own : another(plan);
    return browse(random, fromMs, untilMs, () => ({
      ip: random.pick(victim.office.addresses),
      agent,
    }));
  },
};

function browsing({ random, fromMs, untilMs }: Plan, ip: string, agent: Agent): Happening[] {
  return browse(random, fromMs, untilMs, () => ({ ip, agent }), random.between(5, 60) * SECOND);
}

function another({ random, own }: Plan): Agent {
  return random.weighted(THIEVES.filter(([agent]) => agent !== own));
}

function abroad(plan: Plan): string {
  const { random, world, victim } = plan;
  const cities = [...world.homes, ...world.others];
  const far = cities.filter(({ country }) => country !== victim.city.country);
  return addressOf(plan, random.pick(far), random.pick(["cloud", "cable", "guest"]));
}

function acrossTown(plan: Plan): string {
  const { random, victim } = plan;
  return addressOf(plan, victim.city, random.pick(["cable", "fibre", "guest"]));
}

/** One in ten has IPv6. */
function addressOf(
  { random, world }: Plan,
  city: City,
  kind: "cloud" | "cable" | "fibre" | "guest",
): string {
  return random.chance(0.1)
    ? `${world.prefix(random, city, kind)}:1`
    : world.address(random, city, kind);
}

function inCountry({ random, world, victim }: Plan): string {
  const others = compatriots(world, victim).filter((one) => one !== victim.city);
  return world.address(random, random.pick(others), "cable");
}

function compatriots(world: World, { city }: Person): readonly City[] {
  return world.homes.filter(({ country }) => country === city.country);
}

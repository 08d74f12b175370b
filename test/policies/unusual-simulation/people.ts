/** Ordinary users: who they are, and what their tokens go through in a week. */
import {
  browse,
  DAY,
  glance,
  type Happening,
  HOUR,
  type Life,
  MINUTE,
  poll,
  SECOND,
  WEEK_BEGINS_MS,
} from "./life.ts";
import { type Random, randomOf } from "./random.ts";
import type { Agent, City, World } from "./world.ts";

type Office = {
  readonly city: City;
  /** Public addresses behind which all who work there are; connections take any of them. */
  readonly addresses: readonly string[];
};

export type Person = {
  readonly number: number;
  readonly random: Random;
  readonly city: City;
  readonly office: Office;
  readonly homeAddress: string;
  /** Homes with IPv6: browsers mostly use it, and take a new address of it each day. */
  readonly homePrefix: string | undefined;
  readonly laptop: Agent;
  readonly phone: Agent;
  /** The app's own requests, where it shows pages besides, which have the user agent of `phone`. */
  readonly app: Agent | undefined;
  /** An access token is renewed that often; a session of the gate lasts the day. */
  readonly tokenMs: number;
  readonly vpn: { readonly address: string; readonly leaks: boolean } | undefined;
  /** iCloud Private Relay: another address every now and then, of several networks of the region. */
  readonly relay: boolean;
};

/** How many of all users do what, unless a share is written where it is used. */
const SHARES = { vpn: 0.12, vpnAbroad: 0.25, vpnLeaks: 0.4, relay: 0.04, appWithPages: 0.08 };

const LAPTOPS: readonly (readonly [Agent, number])[] = [
  ["chromeWindows", 45],
  ["edgeWindows", 15],
  ["chromeMac", 15],
  ["safariMac", 10],
  ["firefoxWindows", 8],
  ["firefoxLinux", 4],
  ["chromeLinux", 3],
];

export function personOf(world: World, seed: number, number: number): Person {
  const random = randomOf(seed, "person", number);
  const office = officeOf(world, seed, random.whole(0, 59));
  const city = random.chance(0.9) ? office.city : random.pick(world.homes);
  const provider = random.chance(0.6) ? "cable" : "fibre";
  const isIphone = random.chance(0.55);
  const vpnCity = random.chance(SHARES.vpnAbroad)
    ? random.pick([...world.homes, ...world.others])
    : random.pick(world.homes.filter(({ country }) => country === city.country));
  return {
    number,
    random,
    office,
    city,
    homeAddress: world.address(random, city, provider),
    homePrefix: random.chance(0.4) ? world.prefix(random, city, provider) : undefined,
    laptop: random.weighted(LAPTOPS),
    phone: isIphone ? "safariPhone" : "chromePhone",
    app: random.chance(SHARES.appWithPages) ? (isIphone ? "appPhone" : "okhttpPhone") : undefined,
    tokenMs: random.weighted([
      [HOUR, 75],
      [8 * HOUR, 15],
      [DAY, 10],
    ]),
    vpn: random.chance(SHARES.vpn)
      ? {
          address: world.address(random, vpnCity, "cloud"),
          leaks: random.chance(SHARES.vpnLeaks),
        }
      : undefined,
    relay: random.chance(SHARES.relay),
  };
}

function officeOf(world: World, seed: number, number: number): Office {
  const random = randomOf(seed, "office", number);
  const city = random.pick(world.homes);
  const first = world.address(random, city, "fibre");
  const neighbours = (count: number) =>
    Array.from({ length: count }, (_, at) => first.replace(/\d+$/, String(20 + at)));
  const addresses = random.weighted<readonly string[]>([
    [[first], 70],
    [neighbours(4), 15],
    [neighbours(28), 10],
    // Two providers, each connection by either.
    [[first, world.address(random, city, "cable")], 5],
  ]);
  return { city, addresses };
}

/** What a week of one person brings, but for stretches in which nothing changes: those are glanced at. */
export function weekOf(world: World, person: Person): readonly Life[] {
  const { random } = person;
  const lives: Life[] = [];
  const travels = random.chance(0.04) ? random.whole(0, 3) : undefined;
  for (let day = 0; day < 7; day += 1) {
    const dayMs = WEEK_BEGINS_MS + day * DAY;
    if (travels === day && day < 5) lives.push(...journey(world, person, dayMs));
    else if (day < 5) lives.push(...workday(world, person, dayMs));
    lives.push(...phoneDay(world, person, dayMs));
  }
  lives.push(...rarities(world, person));
  return lives;
}

/** From home: by IPv6 where there is one, now and then by IPv4. */
export function atHome({ random, homeAddress, homePrefix }: Person, agent: Agent) {
  const own = homePrefix && `${homePrefix}:${random.whole(1, 65_535).toString(16)}`;
  return () => ({ agent, ip: own === undefined || random.chance(0.05) ? homeAddress : own });
}

function inOffice({ random, office }: Person, agent: Agent) {
  return () => ({ agent, ip: random.pick(office.addresses) });
}

function life(person: Person, about: string, happenings: readonly Happening[]): Life {
  return { about, user: person.number, happenings };
}

function workday(world: World, person: Person, dayMs: number): Life[] {
  const { random, laptop, tokenMs, vpn, city, office } = person;
  const beginsMs = dayMs + random.between(7.5, 10) * HOUR;
  const endsMs = beginsMs + random.between(7, 9) * HOUR;
  const isHome = person.city !== person.office.city || random.chance(0.35);
  const from = isHome ? atHome(person, laptop) : inOffice(person, laptop);
  const lives: Life[] = [];
  // A token at some time of the day; the others of the day are like it.
  const someMs = random.between(beginsMs, endsMs - 10 * MINUTE);
  const untilMs = Math.min(someMs + Math.min(tokenMs, 8 * HOUR), endsMs);
  const plain = isHome || person.office.addresses.length === 1;
  lives.push(
    plain
      ? life(
          person,
          isHome ? "laptop at home" : "laptop in the office",
          glance(someMs, untilMs, from),
        )
      : life(person, "laptop in an office of many addresses", [
          ...browse(random, someMs, someMs + MINUTE, from),
          ...browse(random, untilMs - 30 * SECOND, untilMs, from),
        ]),
  );
  if (vpn !== undefined) lives.push(...vpnDay(person, vpn, from, someMs, untilMs));
  else if (person.relay && laptop === "safariMac") {
    lives.push(life(person, "private relay", relayed(world, person, laptop, someMs)));
  }
  if (city === office.city && random.chance(0.1)) {
    // Home at noon: a token of an hour mostly ends on the way.
    const restMs = Math.min(tokenMs - 20 * MINUTE, 3 * HOUR);
    const arrivesMs = someMs + 15 * MINUTE + random.between(15, 70) * MINUTE;
    const after = isHome ? inOffice(person, laptop) : atHome(person, laptop);
    lives.push(
      life(person, "laptop from one place to another", [
        ...browse(random, someMs, someMs + 2 * MINUTE, from),
        ...(arrivesMs < someMs + restMs
          ? browse(random, arrivesMs, arrivesMs + 2 * MINUTE, after)
          : []),
      ]),
    );
  }
  if (random.chance(0.04)) {
    const carrier = world.address(random, world.gatewayOf(person.city.country), "mobile");
    const tethered = () => ({ agent: laptop, ip: carrier });
    const backMs = someMs + 5 * MINUTE + random.between(1, 30) * MINUTE;
    lives.push(
      life(person, "laptop by its owner's phone", [
        ...browse(random, someMs + 3 * MINUTE, someMs + 5 * MINUTE, from),
        ...browse(random, someMs + 5.2 * MINUTE, backMs, tethered, 3 * MINUTE),
        ...browse(random, backMs + 10 * SECOND, backMs + 2 * MINUTE, from),
      ]),
    );
  }
  if (random.chance(0.3)) lives.push(signOut(person, from, endsMs));
  return lives;
}

/** Turned on, now and then off again; where it breaks, some systems go on without it meanwhile. */
function vpnDay(
  { random, laptop, number, vpn: _, ...person }: Person,
  vpn: NonNullable<Person["vpn"]>,
  from: () => Pick<Happening, "ip" | "agent">,
  someMs: number,
  untilMs: number,
): Life[] {
  const inside = () => ({ agent: laptop, ip: vpn.address });
  const onMs = random.chance(0.6) ? someMs : someMs + random.between(2, 30) * MINUTE;
  const before = onMs > someMs ? browse(random, onMs - 2 * MINUTE, onMs, from) : [];
  const happenings = [...before, ...browse(random, onMs + 3 * SECOND, onMs + 3 * MINUTE, inside)];
  const hours = Math.max(0.2, Math.min(untilMs - someMs, person.tokenMs) / HOUR);
  if (vpn.leaks && random.chance(Math.min(0.5, 0.08 * hours))) {
    const breaksMs = onMs + random.between(3, 30) * MINUTE;
    const mendedMs = breaksMs + Math.min(random.around(8, 0.9), 120) * SECOND;
    const hand = (atMs: number) => (atMs > breaksMs && atMs < mendedMs ? from() : inside());
    happenings.push(
      ...browse(random, breaksMs - 2 * MINUTE, mendedMs + 2 * MINUTE, hand, 10 * SECOND),
    );
  } else if (random.chance(0.3)) {
    const offMs = onMs + random.between(5, 40) * MINUTE;
    happenings.push(...browse(random, offMs, offMs + 2 * MINUTE, from));
  }
  return [{ about: "VPN", user: number, happenings }];
}

/** Another way out every quarter of an hour or so, and connections of the former one besides. */
function relayed(
  world: World,
  { random, city }: Person,
  agent: Agent,
  someMs: number,
): Happening[] {
  const exits = Array.from({ length: 5 }, () => world.address(random, city, "cloud"));
  return browse(
    random,
    someMs,
    someMs + 25 * MINUTE,
    (atMs) => {
      const turn = Math.floor((atMs - someMs) / (12 * MINUTE)) + (random.chance(0.1) ? 1 : 0);
      return { agent, ip: exits[turn % exits.length] ?? "" };
    },
    90 * SECOND,
  );
}

/** Signs out, and now and then leaves a page open that does not know of it. */
function signOut(
  person: Person,
  from: () => Pick<Happening, "ip" | "agent">,
  endsMs: number,
): Life {
  const { random } = person;
  const forgotten = random.chance(0.01);
  const tail = forgotten ? poll(endsMs, endsMs + 30 * MINUTE, MINUTE, from) : [];
  return {
    ...life(person, forgotten ? "a page left open after signing out" : "signed out", [
      ...browse(random, endsMs - MINUTE, endsMs, from),
      // Under way at that moment.
      { atMs: endsMs + random.between(0, 3) * SECOND, ...from() },
      ...tail,
    ]),
    signedOutMs: endsMs,
  };
}

function phoneDay(world: World, person: Person, dayMs: number): Life[] {
  const { random, phone, app, city } = person;
  const lives: Life[] = [];
  const gateway = world.gatewayOf(city.country);
  const isRemote = city !== person.office.city;
  for (let glances = random.whole(1, 8); glances > 0; glances -= 1) {
    const fromMs = dayMs + random.between(6.5, 23) * HOUR;
    const agentOf = () => (app !== undefined && random.chance(0.8) ? app : phone);
    const isByIpv6 = random.chance(0.4);
    /** Carriers give another address whenever a phone comes back to them. */
    const attach = () =>
      isByIpv6
        ? `${world.prefix(random, gateway, "mobile")}:1`
        : world.address(random, gateway, "mobile");
    let carrier = attach();
    const wifi = isRemote || random.chance(0.6) ? atHome(person, phone) : inOffice(person, phone);
    const byCarrier = () => ({ agent: agentOf(), ip: carrier });
    const byWifi = () => ({ agent: agentOf(), ip: wifi().ip });
    const kind = random.next();
    if (kind < 0.06) {
      const leavesMs = fromMs + random.between(1, 20) * MINUTE;
      lives.push(
        life(person, "phone from wifi to its carrier", [
          ...browse(random, Math.max(fromMs, leavesMs - 80 * SECOND), leavesMs, byWifi),
          ...browse(random, leavesMs, leavesMs + 80 * SECOND, byCarrier),
        ]),
      );
    } else if (kind < 0.08) {
      // At the edge of a wifi: now the one, now the other.
      const hand = () => (random.chance(0.5) ? byWifi() : byCarrier());
      lives.push(
        life(
          person,
          "phone at the edge of a wifi",
          browse(random, fromMs, fromMs + 3 * MINUTE, hand),
        ),
      );
    } else if (kind < 0.09) {
      // A train: tunnels, and a new address after each.
      const happenings: Happening[] = [];
      for (let part = 0; part < 6; part += 1) {
        const partMs = fromMs + part * 4 * MINUTE;
        happenings.push(...browse(random, partMs, partMs + MINUTE, byCarrier));
        carrier = attach();
      }
      lives.push(life(person, "phone on a train", happenings));
    } else if (kind < 0.11 && person.relay && phone === "safariPhone") {
      lives.push(life(person, "private relay", relayed(world, person, phone, fromMs)));
    } else if (kind < 0.13 && app !== undefined) {
      // The app has been at it for a while when it shows its first page.
      const own = () => ({ agent: app, ip: byWifi().ip });
      const pages = () => ({ agent: phone, ip: byWifi().ip });
      lives.push(
        life(person, "app that shows pages later", [
          ...browse(random, fromMs, fromMs + 2 * MINUTE, own),
          ...browse(random, fromMs + 9 * MINUTE, fromMs + 11 * MINUTE, pages),
        ]),
      );
    } else if (kind < 0.16) {
      lives.push(life(person, "phone", glance(fromMs, fromMs + 5 * MINUTE, byWifi)));
    }
  }
  return lives;
}

/** There by air, with what the token of the day has seen: airports, the aircraft's own wifi, hotels. */
function journey(world: World, person: Person, dayMs: number): Life[] {
  const { random, laptop, phone, city } = person;
  const there = random.pick([...world.homes, ...world.others].filter((one) => one !== city));
  const airport = world.address(random, city, "guest");
  const hotel = world.address(random, there, "guest");
  // Satellite operators come out of the ground where they like.
  const aloft = world.address(random, random.pick([...world.homes, ...world.others]), "cloud");
  const gateway = world.gatewayOf(random.chance(0.7) ? city.country : there.country);
  const roaming = world.address(random, gateway, "mobile");
  const leavesMs = dayMs + random.between(7, 12) * HOUR;
  const landsMs = leavesMs + random.between(3, 11) * HOUR;
  const at = (ip: string, agent: Agent) => () => ({ ip, agent });
  const onBoard = random.chance(0.15)
    ? browse(random, leavesMs + 30 * MINUTE, leavesMs + 50 * MINUTE, at(aloft, laptop))
    : [];
  const evening = (agent: Agent) =>
    browse(random, landsMs + 90 * MINUTE, landsMs + 100 * MINUTE, at(hotel, agent));
  const lives = [
    life(person, "journey with one token", [
      ...browse(random, leavesMs - 40 * MINUTE, leavesMs - 30 * MINUTE, at(airport, laptop)),
      ...onBoard,
      ...evening(laptop),
    ]),
  ];
  for (let times = 0; times < 3; times += 1) {
    // At the hotel and, by the carrier at home, at home: all in one corridor.
    const fromMs = landsMs + (2 + times) * HOUR;
    const leaves = fromMs + random.between(2, 8) * MINUTE;
    const backMs = leaves + random.around(40, 1) * SECOND;
    lives.push(
      life(person, "phone abroad, from wifi to its carrier and back", [
        ...browse(random, fromMs, leaves, at(hotel, phone)),
        ...browse(random, leaves, backMs, at(roaming, phone), 10 * SECOND),
        ...browse(random, backMs, backMs + 2 * MINUTE, at(hotel, phone)),
      ]),
    );
  }
  return lives;
}

/** What few do, and what happens seldom. */
function rarities(world: World, person: Person): Life[] {
  const { random, laptop, city, number } = person;
  const lives: Life[] = [];
  const someMs = () => WEEK_BEGINS_MS + random.whole(0, 4) * DAY + random.between(9, 16) * HOUR;
  const home = atHome(person, laptop);
  if (random.chance(0.05)) {
    const fromMs = someMs();
    const tool = random.pick<Agent>(["curl", "python"]);
    const elsewhere = random.chance(0.002) ? world.address(random, city, "cloud") : undefined;
    lives.push(
      life(person, "developer who takes a token to another tool", [
        ...browse(random, fromMs, fromMs + 4 * MINUTE, home),
        ...browse(random, fromMs + 5 * MINUTE, fromMs + 7 * MINUTE, () => ({
          agent: tool,
          ip: elsewhere ?? home().ip,
        })),
      ]),
    );
  }
  if (random.chance(0.002)) {
    const fromMs = someMs();
    lives.push(
      life(person, "a page that is refused for hours", [
        ...browse(random, fromMs, fromMs + MINUTE, home),
        ...poll(fromMs + MINUTE, fromMs + 50 * MINUTE, MINUTE, home, true),
      ]),
    );
  }
  if (random.chance(0.005)) {
    const fromMs = someMs();
    const perSecond = random.whole(4, 15);
    lives.push(
      life(person, "an export", [
        ...browse(random, fromMs, fromMs + 12 * MINUTE, home),
        ...Array.from({ length: 90 }, (_, at) => ({
          atMs: fromMs + 13 * MINUTE + at * SECOND,
          count: perSecond,
          ...home(),
        })),
      ]),
    );
  }
  if (random.chance(0.0005)) {
    const fromMs = someMs();
    const exits = Array.from({ length: 6 }, () =>
      world.address(random, random.pick(world.others), "cloud"),
    );
    lives.push(
      life(
        person,
        "Tor",
        browse(random, fromMs, fromMs + 40 * MINUTE, (atMs) => ({
          agent: "firefoxWindows",
          ip: exits[Math.floor((atMs - fromMs) / (9 * MINUTE))] ?? "",
        })),
      ),
    );
  }
  if (number % 50 === 0) lives.push(...service(world, person));
  return lives;
}

/** A service account: a health check all day, and the night's batch, from a cloud. */
function service(world: World, person: Person): Life[] {
  const { random, city, number } = person;
  const exits = Array.from({ length: random.whole(1, 3) }, () =>
    world.address(random, city, "cloud"),
  );
  // One token for workers in two regions: it looks like any token that two have.
  const isShared = random.chance(0.002);
  if (isShared) exits.push(world.address(random, random.pick(world.others), "cloud"));
  const hand = () => ({ agent: "go" as const, ip: random.pick(exits) });
  return Array.from({ length: 7 }, (_, day): Life => {
    const dayMs = WEEK_BEGINS_MS + day * DAY;
    const batch = Array.from({ length: 20 }, (_, at) => ({
      atMs: dayMs + 2 * HOUR + at * 15 * SECOND,
      count: 150,
      ...hand(),
    }));
    return {
      about: isShared ? "service in two regions" : "service with a batch at night",
      user: number,
      happenings: [...poll(dayMs, dayMs + DAY, HOUR, hand), ...batch],
    };
  });
}

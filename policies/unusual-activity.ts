import { allow, challenge, definePolicy, deny, milliseconds } from "claimgate";
import { type Action, Options } from "./_unusual-options.ts";
import { type Signal, signalsOf } from "./_unusual-signals.ts";

/** From the mildest to the hardest. */
const HARDNESS: readonly Action[] = ["off", "observe", "challenge", "deny", "revoke"];
const hardness = (action: Action) => HARDNESS.indexOf(action);

/** Whose code a denial has: the signal that asks for most, and of those the heaviest. */
const foremost = (one: Signal, other: Signal) =>
  hardness(other.action) - hardness(one.action) || other.weight - one.weight;

const NOW = "2026-01-05T12:00:00Z";
const ago = (minutes: number) => new Date(Date.parse(NOW) - minutes * 60_000);

/** Of the cases: anything that is seen at all counts as too much. */
const STRICT = { threshold: 1 };
/** Of the cases: what a token was seen with an hour ago, and until a minute ago. */
const OFFICE = { ip: "192.0.2.1", country: "AT", location: { latitude: 48.21, longitude: 16.37 } };
const SYDNEY = {
  ip: "203.0.113.9",
  country: "AU",
  location: { latitude: -33.87, longitude: 151.21 },
};
const LAPTOP = { platform: "windows", browser: "firefox", mobile: false };
const PHONE = { platform: "ios", browser: "safari", mobile: true };
const CURL = { platform: "unknown", browser: "curl", mobile: false };
const LAPTOP_TRACE = { name: "firefox on windows" };
const PHONE_TRACE = { name: "safari on ios" };
/** In the office until 2 seconds ago, and in Sydney for as long, until a second ago. */
const BY_TURNS = [
  { ...OFFICE, firstSeen: ago(60), lastSeen: ago(2 / 60) },
  { ...SYDNEY, firstSeen: ago(10), lastSeen: ago(1 / 60) },
];
const NETWORKS = { action: "challenge" as const, weight: 100, most: 8, within: "10m" };
const networks = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ ip: `198.51.${at}.7`, lastSeen: ago(5) }));

/**
 * Notices a token that behaves unlike one owner's, by what the gate has seen of it. Each signal has
 * a weight and an action. What is seen is noted in the ledger (`claimgate tokens --unusual`); once
 * the weights of what is seen together reach the threshold, the hardest of their actions is taken.
 */
export default definePolicy({
  description: "Lets tokens pass that behave like one owner's, and stops those that do not",
  options: Options,
  async evaluate({ history, client, now, options }) {
    const past = await history();
    const seen = [...signalsOf({ client, past, nowMs: now.getTime() }, options)].sort(foremost);
    const [first] = seen;
    if (first === undefined || options.atMost === "off") return allow();

    const unusual = seen.map(({ code }) => code);
    const weight = seen.reduce((sum, one) => sum + one.weight, 0);
    const asked = weight < options.threshold ? "observe" : first.action;
    const action = hardness(asked) < hardness(options.atMost) ? asked : options.atMost;
    const detail = `${unusual.join(", ")}: ${Math.round(weight)} of ${options.threshold}`;
    switch (action) {
      case "challenge": {
        const maxAge = Math.floor(milliseconds(options.signInWithin) / 1_000);
        return challenge({ maxAge, unusual });
      }
      case "deny":
        return deny(first.code, detail, { unusual });
      case "revoke":
        // A session is ended; a token without one is revoked itself.
        return deny(first.code, detail, { revoke: "session", unusual });
      default:
        return allow({ unusual });
    }
  },
  cases: [
    // Copies of a token.
    {
      name: "another device with a network of its own",
      client: { ip: "198.51.100.7", device: CURL },
      history: { addresses: [OFFICE], devices: [LAPTOP_TRACE] },
      expect: "deny new_device_elsewhere",
    },
    {
      name: "the same over IPv6, which the owner does not have",
      client: { ip: "2001:db8::7", device: CURL },
      history: { addresses: [OFFICE], devices: [LAPTOP_TRACE] },
      expect: "deny new_device_elsewhere",
    },
    {
      name: "the same again: what came together stays a copy",
      client: { ip: "198.51.100.8", device: CURL },
      history: {
        addresses: [OFFICE, { ip: "198.51.100.7", firstSeen: ago(20) }],
        devices: [LAPTOP_TRACE, { name: "curl on unknown", firstSeen: ago(20) }],
      },
      expect: "deny new_device_elsewhere",
    },
    {
      name: "its owner meanwhile",
      client: { ip: OFFICE.ip, device: LAPTOP },
      history: {
        addresses: [OFFICE, { ip: "198.51.100.7", firstSeen: ago(20) }],
        devices: [LAPTOP_TRACE, { name: "curl on unknown", firstSeen: ago(20) }],
      },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "by turns from here and from the other end of the world, with one user agent",
      client: { ...OFFICE, device: LAPTOP },
      history: { addresses: BY_TURNS, devices: [LAPTOP_TRACE] },
      expect: "deny simultaneous_use",
    },
    {
      name: "by turns on a phone",
      client: { ...OFFICE, device: PHONE },
      history: { addresses: BY_TURNS, devices: [PHONE_TRACE] },
      expect: "deny simultaneous_use",
    },
    {
      name: "by turns in two countries, where no database knows places",
      client: { ip: OFFICE.ip, country: "AT", device: LAPTOP },
      history: {
        addresses: BY_TURNS.map(({ location: _, ...one }) => one),
        devices: [LAPTOP_TRACE],
      },
      expect: "deny simultaneous_use",
    },
    {
      name: "after its owner has signed out",
      history: { addresses: [OFFICE], signedOut: ago(2) },
      expect: "deny signed_out",
    },
    {
      name: "after its owner has signed out, and never seen before",
      history: { requests: 0, signedOut: ago(2) },
      expect: "deny signed_out",
    },
    {
      name: "in more networks than anybody has",
      history: { addresses: networks(8) },
      expect: "challenge",
    },
    {
      name: "too many addresses of few networks",
      options: { networks: { ...NETWORKS, mostAddresses: 20 } },
      history: {
        addresses: Array.from({ length: 24 }, (_, at) => ({
          ip: `198.51.100.${at}`,
          lastSeen: ago(5),
        })),
      },
      expect: "challenge",
    },
    {
      name: "far away, and at once far busier than ever",
      client: { ...SYDNEY, device: LAPTOP },
      now: NOW,
      history: {
        addresses: [OFFICE],
        devices: [LAPTOP_TRACE],
        lastSeen: NOW,
        lastMinute: 499,
        busiestMinute: 60,
      },
      expect: "deny burst_elsewhere",
    },
    {
      name: "from another place, refused at every door, with another tool",
      client: { ...SYDNEY, device: CURL },
      history: {
        addresses: [OFFICE, { ...SYDNEY, firstSeen: ago(30) }],
        devices: [LAPTOP_TRACE, { name: "curl on unknown", firstSeen: ago(10) }],
        deniedInRow: 25,
      },
      expect: "challenge",
    },
    {
      name: "another device abroad, even if it could be an app of the same phone",
      client: { ...SYDNEY, device: { platform: "unknown", browser: "unknown", mobile: false } },
      history: { addresses: [OFFICE], devices: [PHONE_TRACE] },
      expect: "deny new_device_elsewhere",
    },
    // One signal alone, which is noted and lets pass, unless its weight or the threshold says otherwise.
    {
      name: "faster than any airliner",
      client: { ...SYDNEY, device: LAPTOP },
      history: { addresses: [OFFICE], devices: [LAPTOP_TRACE] },
      options: STRICT,
      expect: "challenge",
    },
    {
      name: "faster than any airliner, alone: a VPN that was turned on",
      client: { ...SYDNEY, device: LAPTOP },
      history: { addresses: [OFFICE], devices: [LAPTOP_TRACE] },
      expect: "allow",
    },
    {
      name: "another country within minutes, where no database knows places",
      client: { ip: SYDNEY.ip, country: "AU", device: LAPTOP },
      history: { addresses: [{ ip: OFFICE.ip, country: "AT" }], devices: [LAPTOP_TRACE] },
      options: STRICT,
      expect: "challenge",
    },
    {
      name: "another device, where the token was in use before",
      client: { ip: OFFICE.ip, device: CURL },
      history: { addresses: [OFFICE], devices: [LAPTOP_TRACE] },
      options: STRICT,
      expect: "challenge",
    },
    {
      name: "far busier than ever",
      now: NOW,
      history: { lastSeen: NOW, lastMinute: 499, busiestMinute: 60 },
      options: STRICT,
      expect: "deny burst",
    },
    {
      name: "refused at every door",
      history: { deniedInRow: 20 },
      options: STRICT,
      expect: "challenge",
    },
    // Ordinary neighbours: nothing is seen at all.
    {
      name: "a token never seen before",
      options: STRICT,
      history: { requests: 0 },
      expect: "allow",
    },
    {
      name: "a phone that goes from wifi to its carrier, whose address is placed in the capital",
      client: {
        ip: "203.0.113.77",
        country: "AT",
        location: { latitude: 48.21, longitude: 16.37 },
        device: PHONE,
      },
      history: {
        addresses: [
          { ip: OFFICE.ip, country: "AT", location: { latitude: 47.27, longitude: 11.39 } },
        ],
        devices: [PHONE_TRACE],
      },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "IPv6 privacy addresses of one network",
      client: { ip: "2001:db8::99", device: LAPTOP },
      history: {
        addresses: Array.from({ length: 32 }, (_, at) => ({ ip: `2001:db8::${at + 1}` })),
        devices: [LAPTOP_TRACE],
      },
      options: { ...STRICT, networks: { ...NETWORKS, most: 1, mostAddresses: 1 } },
      expect: "allow",
    },
    {
      name: "a carrier or an office that hands out many addresses of one network",
      client: { ip: "198.51.100.99", device: LAPTOP },
      history: {
        addresses: Array.from({ length: 20 }, (_, at) => ({ ip: `198.51.100.${at}` })),
        devices: [LAPTOP_TRACE],
      },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "a flight of three hours",
      client: { ip: "203.0.113.5", country: "ES", location: { latitude: 40.42, longitude: -3.7 } },
      history: { addresses: [{ ...OFFICE, lastSeen: ago(180) }], lastSeen: ago(180) },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "an app whose pages and whose own requests have different user agents from the start",
      client: { ip: OFFICE.ip, device: CURL },
      history: {
        addresses: [OFFICE],
        devices: [LAPTOP_TRACE, { name: "curl on unknown", firstSeen: ago(59.8) }],
      },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "the first page that an app shows, just when its phone leaves the wifi",
      client: { ip: "198.51.100.7", country: "AT", device: PHONE },
      history: { addresses: [OFFICE], devices: [{ name: "unknown on unknown" }] },
      expect: "allow",
    },
    {
      name: "an office with two providers, one of them placed in another city",
      client: { ...OFFICE, device: LAPTOP },
      history: {
        addresses: BY_TURNS.map((one) =>
          one.ip === OFFICE.ip
            ? one
            : { ...one, country: "AT", location: { latitude: 47.27, longitude: 11.39 } },
        ),
        devices: [LAPTOP_TRACE],
      },
      expect: "allow",
    },
    {
      name: "another device that has IPv4 alone, in a home with IPv6: not known to be elsewhere",
      client: { ip: OFFICE.ip, device: CURL },
      history: { addresses: [{ ip: "2001:db8::7" }], devices: [LAPTOP_TRACE] },
      expect: "allow",
    },
    {
      name: "a busy start without a baseline",
      now: NOW,
      history: { firstSeen: ago(1), lastSeen: NOW, lastMinute: 5_000, busiestMinute: 3 },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "a busy page of a busy client",
      now: NOW,
      history: { lastSeen: NOW, lastMinute: 499, busiestMinute: 200 },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "some more requests than the few before",
      now: NOW,
      history: { lastSeen: NOW, lastMinute: 199, busiestMinute: 3 },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "a service that works at night from an address it did not have before",
      now: NOW,
      client: { ip: "198.51.100.7", device: { ...CURL, browser: "go" } },
      history: {
        addresses: [OFFICE],
        devices: [{ name: "go on unknown" }],
        lastSeen: NOW,
        lastMinute: 4_999,
        busiestMinute: 1,
      },
      expect: "allow",
    },
    {
      name: "a VPN that is on, and was off for a while before",
      client: { ...SYDNEY, device: LAPTOP },
      history: {
        addresses: [
          { ...OFFICE, firstSeen: ago(60), lastSeen: ago(10) },
          { ...SYDNEY, firstSeen: ago(50), lastSeen: ago(1 / 60) },
        ],
        devices: [LAPTOP_TRACE],
      },
      expect: "allow",
    },
    {
      name: "a VPN that was off for a minute, long after it was turned on",
      client: { ...SYDNEY, device: LAPTOP },
      history: {
        addresses: [
          { ...OFFICE, firstSeen: ago(60), lastSeen: ago(1 / 60) },
          { ...SYDNEY, firstSeen: ago(50), lastSeen: ago(1) },
        ],
        devices: [LAPTOP_TRACE],
      },
      expect: "allow",
    },
    {
      name: "a request that was under way when its owner signed out",
      history: { signedOut: ago(5 / 60) },
      options: STRICT,
      expect: "allow",
    },
    {
      name: "a VPN whose connection broke for a few seconds, just after it was turned on",
      client: { ...SYDNEY, device: LAPTOP },
      history: {
        addresses: [
          { ...OFFICE, firstSeen: ago(60), lastSeen: ago(1 / 60) },
          { ...SYDNEY, firstSeen: ago(2), lastSeen: ago(2 / 60) },
        ],
        devices: [LAPTOP_TRACE],
      },
      expect: "allow",
    },
    // What operators may say.
    {
      name: "observe refuses nobody",
      options: { atMost: "observe" },
      history: { signedOut: ago(2) },
      expect: "allow",
    },
    {
      name: "a signal that is off does not count",
      options: { ...STRICT, signedOut: { action: "off", weight: 100, grace: "10s" } },
      history: { signedOut: ago(2) },
      expect: "allow",
    },
  ],
});

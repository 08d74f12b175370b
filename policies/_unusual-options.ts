/** What `unusual-activity` can be told, and what it does when it is told nothing. */
import { type Static, Type } from "claimgate";

const ACTIONS = ["off", "observe", "challenge", "deny", "revoke"] as const;
export type Action = (typeof ACTIONS)[number];

const action = (preset: Action, description: string) =>
  Type.Union(
    ACTIONS.map((name) => Type.Literal(name)),
    { default: preset, description },
  );

const count = (preset: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 1_000_000, default: preset, description });

const duration = (preset: string, description: string) =>
  Type.String({ format: "duration", default: preset, description });

/** What all signals have: what to do, and how much it counts. */
const base = (does: Action, weight: number) => ({
  action: action(does, "What this signal asks for: off, observe, challenge, deny or revoke"),
  weight: Type.Number({
    minimum: 0,
    maximum: 1_000,
    default: weight,
    description: "How much it counts towards the threshold",
  }),
});

const closed = (description: string) => ({ default: {}, additionalProperties: false, description });

export const Options = Type.Object({
  atMost: action(
    "revoke",
    "The most that is done, whatever signals ask for: begin with observe, which refuses nobody",
  ),
  threshold: Type.Number({
    exclusiveMinimum: 0,
    maximum: 10_000,
    default: 100,
    description: "What the weights of the signals seen must come to before anything is done",
  }),
  signInWithin: duration(
    "5m",
    "A challenge asks for a token whose owner has signed in within this time",
  ),
  phoneFactor: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.8,
    description:
      "What travel and simultaneous count for on phones, whose carriers' addresses are often placed wrongly",
  }),
  networks: Type.Object(
    {
      ...base("challenge", 100),
      most: count(8, "More networks than this are too many (IPv4 /24, IPv6 /64)"),
      mostAddresses: count(30, "More addresses than this are too many; a /64 is one"),
      within: duration("10m", "The window in which they are counted"),
    },
    closed("Too many networks or addresses within a short time"),
  ),
  travel: Type.Object(
    {
      ...base("challenge", 60),
      fasterThanKmh: count(1_000, "Faster than this is no journey: airliners fly 900 km/h"),
      furtherThanKm: count(150, "Shorter distances are not looked at: databases err by as much"),
      abroadWithin: duration(
        "30m",
        "Where only countries are known: another country within this time",
      ),
    },
    closed("One token from places too far apart for the time between; needs geo"),
  ),
  simultaneous: Type.Object(
    {
      ...base("revoke", 70),
      within: duration(
        "5s",
        "Between a request from here, one from there, and one from here again",
      ),
      lasting: duration("3m", "For how long both places must have been in use"),
    },
    closed(
      "One token in use in two places apart (see travel) by turns, again and again; needs geo",
    ),
  ),
  newDevice: Type.Object(
    {
      ...base("challenge", 30),
      after: duration("30s", "For how long all of a token's devices count as its first"),
    },
    closed("Another device for a token in use, from a network where the token was used before"),
  ),
  newDeviceElsewhere: Type.Object(
    {
      ...base("revoke", 100),
      together: duration("10s", "Device and network must have come within this time of another"),
    },
    closed("Another device that came together with another network: a copy of the token"),
  ),
  burst: Type.Object(
    {
      ...base("revoke", 40),
      times: count(3, "How many times its busiest minute until now"),
      atLeast: count(240, "Fewer requests in a minute than this are no burst"),
      after: duration("2m", "How long a token must be in use before it has a baseline"),
      weightElsewhere: Type.Number({
        minimum: 0,
        maximum: 1_000,
        default: 100,
        description: "The weight for a browser's burst from a network that came no longer ago",
      }),
    },
    closed("Many more requests in a minute than in any minute of the token before"),
  ),
  denials: Type.Object(
    {
      ...base("challenge", 30),
      inRow: count(20, "As many refusals in a row, without a request that passed"),
    },
    closed("Many refusals in a row: somebody tries doors"),
  ),
  signedOut: Type.Object(
    {
      ...base("revoke", 100),
      grace: duration("10s", "For requests that were under way when the owner signed out"),
    },
    closed("A token in use after its owner has signed out"),
  ),
});
export type Options = Static<typeof Options>;

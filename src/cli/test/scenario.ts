/**
 * What a scenario is: a request, what it comes with, and what must become of it.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import { Choice, Closed, Secret, Text, TextMap } from "../../config/schema-parts.ts";
import type { Place } from "../../gate/geo.ts";
import type { JsonObject } from "../../identity/strict-json.ts";
import type { Device, History } from "../../types.ts";
import type { MadeUpRequest } from "../explain/request.ts";

const Amount = (description: string) => Type.Integer({ description });
const Anything = (description: string) => Type.Unknown({ description });

const Degrees = Type.Object(
  { latitude: Anything("Degrees north"), longitude: Anything("Degrees east") },
  { ...Closed, description: "Where the client is" },
);

const Seen = {
  firstSeen: Type.Optional(Text("Like 2026-01-05T10:00:00Z")),
  lastSeen: Type.Optional(Text("Like 2026-01-05T10:00:00Z")),
  requests: Type.Optional(Amount("How many")),
};

const PastSchema = Type.Object(
  {
    ...Seen,
    denials: Type.Optional(Amount("How many were denied")),
    deniedInRow: Type.Optional(Amount("Denials since the last request that passed")),
    lastMinute: Type.Optional(Amount("Requests in its last minute")),
    busiestMinute: Type.Optional(Amount("The most in any minute before")),
    signedOut: Type.Optional(Text("Like 2026-01-05T10:00:00Z")),
    addresses: Type.Optional(
      Type.Array(
        Type.Object(
          {
            ip: Text("The address"),
            country: Type.Optional(Text("Like AT")),
            location: Type.Optional(Degrees),
            ...Seen,
          },
          Closed,
        ),
      ),
    ),
    devices: Type.Optional(
      Type.Array(Type.Object({ name: Text("Like firefox on windows"), ...Seen }, Closed)),
    ),
  },
  Closed,
);

const AnswerSchema = Type.Object(
  {
    status: Type.Optional(Amount("200 unless given")),
    headers: Type.Optional(TextMap("Of the answer")),
    body: Type.Optional(Text("Its text")),
    json: Type.Optional(Anything("Its body, as JSON")),
  },
  Closed,
);

const ExpectSchema = Type.Object(
  {
    decision: Type.Optional(Choice("What the gate does", "forward", "deny")),
    status: Type.Optional(Amount("Of the denial")),
    code: Type.Optional(Text("The denial's, like policy_denied")),
    policy: Type.Optional(Text("The policy that denied")),
    reason: Type.Optional(Text("The policy's own code, or what the token was refused for")),
    upstreamHeaders: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "What the upstream gets" }),
    ),
  },
  { ...Closed, description: "What must become of it" },
);

export const ScenarioSchema = Type.Object(
  {
    name: Text("What it shows"),
    request: Type.Object(
      {
        method: Type.Optional(Text("GET unless given")),
        url: Text("The whole address, like https://app.acme.dev/orders/1"),
        ip: Type.Optional(Text("The client's address")),
        headers: Type.Optional(TextMap("What the client sends")),
      },
      { ...Closed, description: "What comes: { url: https://app.acme.dev/orders/1 }" },
    ),
    issuer: Type.Optional(Text("Whose claims these are")),
    claims: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "What the token says" }),
    ),
    token: Type.Optional(Secret("A real token")),
    at: Type.Optional(Text("When it comes, like 2026-01-05T10:00:00Z")),
    country: Type.Optional(Text("Where the client is, like AT")),
    location: Type.Optional(Degrees),
    device: Type.Optional(
      Type.Object(
        {
          platform: Type.Optional(Text("Like windows")),
          browser: Type.Optional(Text("Like firefox")),
          mobile: Type.Optional(Type.Boolean()),
        },
        Closed,
      ),
    ),
    history: Type.Optional(PastSchema),
    secrets: Type.Optional(
      Type.Record(Type.String(), Secret(), { description: "What secret() gives" }),
    ),
    fetch: Type.Optional(
      Type.Record(Type.String(), AnswerSchema, { description: "What fetch() gets, by address" }),
    ),
    expect: ExpectSchema,
  },
  Closed,
);

/** The file around them; each is held against its own schema. */
export const ScenariosSchema = Type.Object(
  { scenarios: Type.Array(Type.Unknown(), { description: "A list of scenarios" }) },
  Closed,
);

export type WrittenScenario = Static<typeof ScenarioSchema>;
export type Answer = Static<typeof AnswerSchema>;

/** What must hold; what is absent may be anything. A header that is `null` must not be sent. */
export type Expected = Omit<Static<typeof ExpectSchema>, "upstreamHeaders"> & {
  readonly upstreamHeaders?: Readonly<Record<string, string | null>>;
};

export type Scenario = {
  readonly name: string;
  /** As findings show it. */
  readonly file: string;
  readonly line: number;
  readonly request: MadeUpRequest;
  readonly issuer?: string | undefined;
  readonly claims?: JsonObject;
  readonly token?: string;
  readonly place?: Place;
  readonly device?: Partial<Device>;
  readonly history?: History;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly fetch?: Readonly<Record<string, Answer>>;
  readonly expect: Expected;
};

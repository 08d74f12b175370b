/**
 * What the admin API gives, as schemas. The pages for people and programs are made from them,
 * and tests hold every answer against them.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";

const Time = Type.String({ description: "ISO 8601, UTC" });
const Optional = Type.Optional;

function oneOf<const T extends readonly string[]>(values: T, description?: string) {
  const members = values.map((value) => Type.Literal(value as T[number]));
  return Type.Union(members, description === undefined ? {} : { description });
}

const Device = Type.Object({
  platform: Type.String(),
  browser: Type.String(),
  mobile: Type.Boolean(),
});

const Decision = Type.Object(
  {
    kind: Type.Literal("decision"),
    requestId: Type.String(),
    at: Time,
    method: Type.String(),
    scheme: oneOf(["http", "https"]),
    host: Type.String({ description: "Empty for a request that could not be read" }),
    path: Type.String(),
    query: Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())]), {
        description: "What audit.query keeps",
      }),
    ),
    client: Type.Object({
      ip: Type.String(),
      country: Optional(Type.String()),
      device: Optional(Device),
    }),
    route: Optional(Type.String()),
    decision: oneOf(["forward", "deny"]),
    status: Type.Integer(),
    code: Optional(Type.String({ description: "What the client was told" })),
    reason: Optional(Type.String({ description: "A policy's own code, or why a token failed" })),
    detail: Optional(Type.String()),
    policy: Optional(Type.String({ description: "The policy that denied" })),
    stack: Optional(Type.String({ description: "Of a policy that broke" })),
    token: Optional(
      Type.Object({
        issuer: Type.String(),
        subject: Type.String(),
        id: Optional(Type.String({ description: "Its public id" })),
        issuedAt: Optional(Time),
        expiresAt: Time,
      }),
    ),
    claims: Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "What audit.claims keeps" }),
    ),
    policies: Type.Array(
      Type.Object({
        name: Type.String(),
        verdict: oneOf(["allow", "deny", "challenge", "fault"]),
        code: Optional(Type.String()),
        detail: Optional(Type.String()),
        ms: Type.Number(),
        shadow: Type.Boolean(),
        unusual: Optional(Type.Array(Type.String())),
      }),
    ),
    ms: Type.Number({ description: "Until the answer began" }),
  },
  { $id: "Decision" },
);

const Act = Type.Object(
  {
    kind: Type.Literal("act"),
    at: Time,
    actor: Type.String({ description: "admin, cli, policy NAME, gate" }),
    act: Type.String({ description: "revoke, unrevoke, reload, close_stream" }),
    target: Type.String(),
    reason: Optional(Type.String()),
  },
  { $id: "Act" },
);

const Damaged = Type.Object(
  {
    kind: Type.Literal("damaged"),
    at: Time,
    writer: Type.String(),
    seq: Type.Integer(),
  },
  { $id: "Damaged", description: "A record that is none any more" },
);

export const Record = Type.Union([Decision, Act, Damaged], { $id: "Record" });

export const Decisions = Type.Object({
  decisions: Type.Array(Record, { description: "Newest first" }),
  more: Type.Boolean({ description: "Whether there are older ones that fit" }),
});

const Place = Type.Object({ latitude: Type.Number(), longitude: Type.Number() });
const seen = { firstSeen: Time, lastSeen: Time, requests: Type.Integer() };
const Named = Type.Object({ name: Type.String(), ...seen });
const RevokedKind = oneOf(["jti", "token", "subject", "issuer", "session", "logout"]);

const Token = Type.Object(
  {
    id: Type.String({ description: "Public: a revocation takes it" }),
    kind: oneOf(["token", "session"]),
    issuer: Type.String({ description: "Its name in the configuration, or its iss" }),
    subject: Type.String(),
    client: Optional(Type.String({ description: "Whom it was given to: azp, else client_id" })),
    jti: Optional(Type.String()),
    issuedAt: Optional(Time),
    expiresAt: Time,
    active: Type.Boolean({ description: "Neither expired nor revoked" }),
    ...seen,
    denials: Type.Integer(),
    deniedInRow: Type.Integer({ description: "Since the last request that passed" }),
    addresses: Type.Array(
      Type.Object({
        ip: Type.String(),
        country: Optional(Type.String()),
        location: Optional(Place),
        ...seen,
      }),
    ),
    countries: Type.Array(Type.String()),
    devices: Type.Array(Named),
    routes: Type.Array(Named),
    unusual: Type.Array(Type.Object({ signal: Type.String(), policy: Type.String(), at: Time }), {
      description: "What policies found unusual, the latest first",
    }),
    lint: Type.Array(Type.String(), { description: "What is unhealthy in it" }),
    revoked: Optional(
      Type.Object({
        kind: RevokedKind,
        reason: Type.String(),
        author: Type.String(),
        at: Time,
      }),
    ),
  },
  { $id: "Token" },
);

const more = Type.Boolean({ description: "Whether there are others that fit" });
export const Tokens = Type.Object({ tokens: Type.Array(Token), more });
export const Sessions = Type.Object({ sessions: Type.Array(Token), more });

export const Lint = Type.Object({
  lint: Type.Array(
    Type.Object({
      issuer: Type.String(),
      client: Optional(Type.String({ description: "Absent for tokens that name none" })),
      code: Type.String(),
      tokens: Type.Integer({ description: "That have it" }),
      skewSeconds: Optional(Type.Number()),
      provider: Optional(Type.String()),
      problem: Type.String(),
      fix: Type.String({ description: "What to change at the provider" }),
      example: Type.String({ description: "The public id of the one seen last" }),
      lastSeen: Time,
    }),
  ),
  total: Type.Integer(),
  tokens: Type.Integer({ description: "In which it was found" }),
});

const Revoked = Type.Object(
  {
    kind: RevokedKind,
    issuer: Optional(Type.String({ description: "Its name in the configuration, or its iss" })),
    value: Type.String(),
    reason: Type.String(),
    author: Type.String(),
    at: Time,
    until: Type.String({ description: "When it may be forgotten" }),
  },
  { $id: "Revocation" },
);

export const Revocations = Type.Object({
  revocations: Type.Array(Revoked, { description: "Newest first" }),
  total: Type.Integer({ description: "How many are in force" }),
});

export const RevocationMade = Type.Object({
  target: Type.String(),
  revocation: Revoked,
  note: Optional(Type.String({ description: "What may be wrong with what was named" })),
});
export const RevocationTaken = Type.Object({ target: Type.String() });

const Reload = Type.Object({ inForce: Type.Boolean(), at: Time });

export const Policies = Type.Object({
  policies: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        description: Type.String(),
        file: Type.String(),
        shipped: Type.Boolean(),
        loaded: Type.Boolean(),
        cases: Type.Integer({ description: "How many it brings" }),
        claims: Optional(Type.Unknown({ description: "JSON Schema of the claims it reads" })),
        options: Optional(Type.Unknown({ description: "JSON Schema of its options" })),
        usedBy: Type.Array(Type.String(), { description: "Routes" }),
      },
      { $id: "Policy" },
    ),
  ),
  lastReload: Optional(Reload),
});

export const Routes = Type.Object({
  routes: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        host: Optional(Type.String()),
        path: Type.String(),
        methods: Optional(Type.Array(Type.String())),
        upstreams: Type.Array(Type.String()),
        issuers: Type.Array(Type.String()),
        policies: Type.Array(Type.String(), { description: "Every policy that may be asked" }),
        public: Type.Boolean(),
        anyAuthenticated: Type.Boolean(),
        line: Type.Integer({ description: "In the configuration" }),
      },
      { $id: "Route" },
    ),
  ),
});

export const Issuers = Type.Object({
  issuers: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        issuer: Type.String(),
        audiences: Type.Array(Type.String()),
        state: oneOf(["fresh", "stale", "missing"], "Of its keys"),
        keys: Type.Integer(),
        fetchedAt: Optional(Time),
        ageSeconds: Optional(Type.Number({ description: "Since its keys were read" })),
        error: Optional(Type.String({ description: "Why the last attempt failed" })),
        usedBy: Type.Array(Type.String(), { description: "Routes" }),
      },
      { $id: "Issuer" },
    ),
  ),
});

export const ShownConfig = Type.Record(Type.String(), Type.Unknown(), {
  description: "The configuration in force; secrets are said to be set, and no more",
});

export const Reloaded = Type.Object({ inForce: Type.Literal(true), at: Time });

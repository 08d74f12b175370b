/**
 * `/v1/tokens` and `/v1/sessions`: what passed, with whom, from where, and how it fares.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import type { Admin } from "./admin.ts";
import { Limit, MOST_SHOWN, Word } from "./decisions.ts";
import { endpoint } from "./endpoint.ts";
import { Lint, Sessions, Tokens } from "./schemas.ts";
import { findLint, findTokens, type Known } from "./token-lists.ts";

const Closed = { additionalProperties: false } as const;
const whose = {
  subject: Word("Of this subject"),
  issuer: Word("Of this issuer: its name, or its iss"),
  active: Type.Optional(Type.Boolean({ description: "Neither expired nor revoked" })),
};
const filters = {
  ...whose,
  unusual: Type.Optional(
    Type.Boolean({ description: "In which a policy found something unusual" }),
  ),
  lint: Type.Optional(Type.Boolean({ description: "In which something is unhealthy" })),
  limit: Limit,
};
const Kind = Type.Optional(
  Type.Union([Type.Literal("token"), Type.Literal("session"), Type.Literal("any")], {
    description: "Tokens, browsers' sessions, or both; tokens",
  }),
);

export const tokensEndpoint = endpoint({
  method: "GET",
  path: "/v1/tokens",
  summary: "Tokens seen, the latest first",
  query: Type.Object({ ...filters, kind: Kind }, Closed),
  answers: Tokens,
  async answer(admin, { query: { kind = "token", limit = MOST_SHOWN, ...query } }) {
    const wanted = kind === "any" ? undefined : kind;
    const found = await findTokens(knownTo(admin), { ...query, limit, kind: wanted });
    return found as Static<typeof Tokens>;
  },
});

export const sessionsEndpoint = endpoint({
  method: "GET",
  path: "/v1/sessions",
  summary: "Browsers' sessions seen, the latest first",
  query: Type.Object(filters, Closed),
  answers: Sessions,
  async answer(admin, { query: { limit = MOST_SHOWN, ...query } }) {
    const found = await findTokens(knownTo(admin), { ...query, limit, kind: "session" });
    return { sessions: found.tokens, more: found.more } as Static<typeof Sessions>;
  },
});

export const lintEndpoint = endpoint({
  method: "GET",
  path: "/v1/tokens/lint",
  summary: "What is unhealthy in the latest 10,000 tokens, and what to change at the provider",
  query: Type.Object({ ...whose, limit: Limit }, Closed),
  answers: Lint,
  async answer(admin, { query: { limit = MOST_SHOWN, ...query } }) {
    const found = await findLint(knownTo(admin), { ...query, limit });
    return found as Static<typeof Lint>;
  },
});

/** More would hold up the requests that the gate is for. */
const MOST_LOOKED_AT = 10_000;

export function knownTo({ gate, config }: Admin): Known {
  const nowMs = gate.now();
  const { revocations, sightings } = gate.ledger;
  return {
    sightings: (query) => sightings.list(query),
    revocations: async () => revocations.list().filter(({ untilMs }) => untilMs > nowMs),
    issuers: config().issuers,
    nowMs,
    mostLookedAt: MOST_LOOKED_AT,
  };
}

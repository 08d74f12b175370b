/**
 * `/v1/revocations`: what is revoked; revoking, and taking it back.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import { GateError } from "../errors.ts";
import { LONGEST_TOKEN } from "../identity/compact.ts";
import { LONGEST_VALUE, revocationOf, type Target, thingOf } from "../ledger/revocation.ts";
import type { Revocation } from "../store/store.ts";
import { type Actor, type Admin, recordAct } from "./admin.ts";
import { Limit, MOST_SHOWN } from "./decisions.ts";
import { endpoint } from "./endpoint.ts";
import { ProblemError } from "./problem.ts";
import { listedRevocation } from "./revocation-list.ts";
import { checkNamed, type Named, targetOf, targetWord, unseenNote } from "./revocation-target.ts";
import { RevocationMade, Revocations, RevocationTaken } from "./schemas.ts";
import { findRevocations } from "./token-lists.ts";
import { knownTo } from "./tokens.ts";

export const LONGEST_REASON = 500;
/** With what may stand around a token: `Bearer `, a line end. */
const LONGEST_TOKEN_TEXT = LONGEST_TOKEN + 64;

const Value = (description: string, maxLength = LONGEST_VALUE) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }));
const named = {
  jti: Value("The token with this jti"),
  subject: Value("All tokens of this subject that were issued until now"),
  session: Value("A browser's session, by its public id"),
  issuer: Value("Whose jti or subject; alone, all that it issued until now"),
};
const by = Type.Optional(
  Type.Union([Type.Literal("admin"), Type.Literal("cli")], {
    description: "Whom the audit names as the actor; admin",
  }),
);
const wholeToken = Value("A token, itself or by its public id", LONGEST_TOKEN_TEXT);
const Closed = { additionalProperties: false } as const;

export const revocationsEndpoint = endpoint({
  method: "GET",
  path: "/v1/revocations",
  summary: "What is revoked and not yet expired, newest first",
  query: Type.Object(
    {
      subject: Value("Of this subject"),
      issuer: Value("Of this issuer: its name, or its iss"),
      limit: Limit,
    },
    Closed,
  ),
  answers: Revocations,
  async answer(admin, { query: { limit = MOST_SHOWN, ...query } }) {
    const found = await findRevocations(knownTo(admin), { ...query, limit });
    return found as Static<typeof Revocations>;
  },
});

export const revokeEndpoint = endpoint({
  method: "POST",
  path: "/v1/revocations",
  summary: "Refuse a token, a session, a subject or an issuer from now on",
  body: Type.Object(
    {
      ...named,
      token: wholeToken,
      reason: Type.Optional(Type.String({ maxLength: LONGEST_REASON })),
      by,
    },
    Closed,
  ),
  answers: RevocationMade,
  async answer(admin, { body }) {
    const { reason = "", by: actor = "admin", ...what } = body;
    const { gate, config } = admin;
    const target = readTarget(admin, what);
    const { issuers, session } = config();
    const circumstances = { issuers, reason, author: actor, nowMs: gate.now() };
    const revocation = revocationOf(target, {
      ...circumstances,
      sessionLifetimeMs: session.lifetimeMs,
    });
    const word = targetWord(target, issuers);
    const fault = await putInForce(admin, revocation);
    await recordAct(admin, { actor, act: "revoke", target: word, reason });
    if (fault !== undefined) throw fault;
    const note = await unseenNote(target, (query) => gate.ledger.sightings.list(query));
    return {
      target: word,
      revocation: listedRevocation(revocation, issuers),
      ...(note !== undefined && { note }),
    };
  },
});

/**
 * @returns Why the store did not take it: it is in force in this gate all the same, and who
 *   believes that nothing was done has to be told.
 * @throws GateError `revocations_full`: it is in force nowhere.
 */
async function putInForce({ gate }: Admin, revocation: Revocation): Promise<GateError | undefined> {
  try {
    await gate.ledger.revocations.revoke(revocation);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof GateError) || fault.code !== "store_unavailable") throw fault;
    const message = `${fault.message}; it is revoked in this gate alone so far, and stored once the store is back`;
    return new GateError("store_unavailable", message, { cause: fault });
  }
}

export const unrevokeEndpoint = endpoint({
  method: "DELETE",
  path: "/v1/revocations",
  summary: "Take a revocation back; named by the query, or by a body as in POST",
  query: Type.Object({ ...named, token: Value("A token, by its public id", 22) }, Closed),
  body: Type.Object({ ...named, token: wholeToken, by }, Closed),
  answers: RevocationTaken,
  async answer(admin, { query, body }) {
    const { by: actor = "admin", ...what } = body;
    const isTwice = Object.keys(query).length > 0 && Object.keys(what).length > 0;
    if (isTwice) {
      throw new ProblemError("request_malformed", "name it in the query or in the body, not both");
    }
    return { target: await takeBack(admin, actor, { ...query, ...what }) };
  },
});

async function takeBack(admin: Admin, actor: Actor, what: Named): Promise<string> {
  const { gate, config } = admin;
  const target = readTarget(admin, what);
  const { kind, issuer, value } = thingOf(target);
  const word = targetWord(target, config().issuers);
  if (!(await gate.ledger.revocations.unrevoke(kind, issuer, value))) {
    throw new ProblemError("not_revoked", word);
  }
  await recordAct(admin, { actor, act: "unrevoke", target: word });
  return word;
}

function readTarget({ gate, config }: Admin, what: Named): Target {
  const word = (name: keyof Named) => name;
  try {
    checkNamed(what, word);
    return targetOf(what, config().issuers, gate.ledger.tokenHash, word);
  } catch (fault) {
    if (!(fault instanceof GateError) || fault.code !== "usage_wrong") throw fault;
    throw new ProblemError("request_malformed", fault.message);
  }
}

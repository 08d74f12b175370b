/**
 * What is left of two revocations of the same thing.
 *
 * @module
 */
import type { Revocation, RevocationKind } from "./store.ts";

/** Kinds that refuse what was issued before a moment: the later moment refuses more. */
const BY_MOMENT: ReadonlySet<RevocationKind> = new Set(["subject", "issuer", "logout"]);

/** Whether the later of two counts; of the others the first does. */
export function countsByMoment(kind: RevocationKind): boolean {
  return BY_MOMENT.has(kind);
}

/**
 * Never weaker than either. Reason, author and time are those of the one that counts: the first
 * for a token or a session, which is refused ever since; the last for a subject, an issuer or a
 * logout. Both times being
 * equal, what lies there stays, so that a repeated call changes nothing.
 */
export function mergeRevocations(there: Revocation, added: Revocation): Revocation {
  const wins = countsByMoment(added.kind) ? added.atMs > there.atMs : added.atMs < there.atMs;
  return { ...(wins ? added : there), untilMs: Math.max(there.untilMs, added.untilMs) };
}

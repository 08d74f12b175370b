/**
 * What is left of two revocations of the same thing.
 *
 * @module
 */
import type { Revocation } from "./store.ts";

/** Kinds that refuse what was issued before a moment: the later moment refuses more. */
const BY_MOMENT: ReadonlySet<Revocation["kind"]> = new Set(["subject", "issuer"]);

/**
 * Never weaker than either. Reason, author and time are those of the one that counts: the first
 * for a token, which is refused ever since; the last for a subject or an issuer. Both times being
 * equal, what lies there stays, so that a repeated call changes nothing.
 */
export function mergeRevocations(there: Revocation, added: Revocation): Revocation {
  const wins = BY_MOMENT.has(added.kind) ? added.atMs > there.atMs : added.atMs < there.atMs;
  return { ...(wins ? added : there), untilMs: Math.max(there.untilMs, added.untilMs) };
}

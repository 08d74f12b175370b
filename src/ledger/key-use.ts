/**
 * Which of an issuer's keys sign: a key whose issuer has gone on to another is about to leave
 * the JWKS, and tokens that it has signed will then be refused, whatever time they have left.
 *
 * @module
 */

/** One key, as long as tokens of it come. */
export type KeyUse = {
  /** Whether its issuer has signed with another one since, and not with this. */
  isRetiring(): boolean;
};

type KeyUses = {
  /**
   * @param kid The key that has signed a token.
   * @param issuedAt Of that token: seconds since 1970.
   */
  note(issuer: string, kid: string, issuedAt: number): KeyUse;
};

/** Some issuers sign with several keys in turn: then each is used again well within this time. */
const RETIRED_AFTER_SECONDS = 600;
/** Keys of an issuer, and issuers: more than a JWKS may have, and more than anyone trusts. */
const MOST = 200;

type Latest = { seconds: number };

export function createKeyUses(): KeyUses {
  const issuers = new Map<string, { latest: Latest; keys: Map<string, KeyUse & Latest> }>();

  function ofIssuer(issuer: string) {
    const known = issuers.get(issuer);
    if (known !== undefined) return known;
    if (issuers.size >= MOST) issuers.clear();
    const made = { latest: { seconds: 0 }, keys: new Map<string, KeyUse & Latest>() };
    issuers.set(issuer, made);
    return made;
  }

  return {
    note(issuer, kid, issuedAt) {
      const { latest, keys } = ofIssuer(issuer);
      latest.seconds = Math.max(latest.seconds, issuedAt);
      const known = keys.get(kid);
      if (known !== undefined) {
        known.seconds = Math.max(known.seconds, issuedAt);
        return known;
      }
      if (keys.size >= MOST) keys.clear();
      const use = {
        seconds: issuedAt,
        isRetiring: () => latest.seconds - use.seconds > RETIRED_AFTER_SECONDS,
      };
      keys.set(kid, use);
      return use;
    },
  };
}

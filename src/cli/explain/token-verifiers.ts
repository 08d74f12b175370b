/**
 * Verifiers of real tokens: issuers are opened when a token of theirs is to be verified, and
 * only then.
 *
 * @module
 */
import type { Config, RouteConfig } from "../../config/resolved.ts";
import { type Issuer, openIssuer } from "../../identity/issuers.ts";
import type { KeyDependencies } from "../../identity/keys.ts";
import { createVerifier, type Verifier } from "../../identity/verify.ts";

export type TokenVerifiers = {
  readonly verifierOf: (route: RouteConfig) => Verifier;
  /** By name. */
  readonly opened: ReadonlyMap<string, Issuer>;
  close(): void;
};

export function openTokenVerifiers(
  { issuers, folder }: Pick<Config, "issuers" | "folder">,
  dependencies: Pick<KeyDependencies, "fetch" | "warn">,
): TokenVerifiers {
  const opened = new Map<string, Issuer>();
  const open = (name: string): Issuer[] => {
    const known = opened.get(name);
    const config = issuers.find((one) => one.name === name);
    if (known !== undefined || config === undefined) return known === undefined ? [] : [known];
    const issuer = openIssuer(config, { ...dependencies, folder, now: Date.now });
    opened.set(name, issuer);
    return [issuer];
  };
  return {
    verifierOf(route) {
      let verifier: Verifier | undefined;
      return {
        // Without keys at hand, verifying waits for them, up to 5 s.
        verify(credential, nowMs) {
          verifier ??= createVerifier(route.issuers.flatMap(open));
          return verifier.verify(credential, nowMs);
        },
      };
    },
    opened,
    close() {
      for (const issuer of opened.values()) issuer.close();
    },
  };
}

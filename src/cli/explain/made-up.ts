/**
 * Explains a request that nobody made: by the gate's own rules, keys and revocations, and with
 * nothing counted, recorded or sent.
 *
 * @module
 */
import { loadConfig } from "../../config/load.ts";
import type { RouteConfig } from "../../config/resolved.ts";
import { type Assembly, assemble } from "../../gate/assemble.ts";
import { openGeo } from "../../gate/geo.ts";
import { makeRules } from "../../gate/rules.ts";
import type { JsonObject } from "../../identity/strict-json.ts";
import type { Verifier } from "../../identity/verify.ts";
import { configFault } from "../report-findings.ts";
import { ask, placeCredential, STAND_IN, withPlaceForClaims } from "./ask.ts";
import { type ClaimsToken, completeClaims, judgeClaims, readClaims } from "./claims-token.ts";
import { explainAsked } from "./explain-asked.ts";
import type { Explanation } from "./explanation.ts";
import { openKnownLedger } from "./known-ledger.ts";
import { type MadeUpRequest, type RequestFlags, readRequest } from "./request.ts";
import { openTokenVerifiers } from "./token-verifiers.ts";

export type MadeUpFlags = RequestFlags & {
  readonly token?: string;
  readonly claims?: string;
  readonly issuer?: string;
};

/** What the flags say. */
type MadeUp = {
  readonly request: MadeUpRequest;
  readonly token?: string | undefined;
  readonly claims?: JsonObject;
  readonly issuer?: string | undefined;
};

/**
 * Before anything is opened.
 *
 * @param flags `token` is the token itself.
 * @throws GateError `usage_wrong`; it quotes no token, claim, header value or query.
 */
export function readMadeUp(flags: MadeUpFlags, nowMs: number): MadeUp {
  const { token, claims, issuer } = flags;
  return {
    request: readRequest(flags, nowMs),
    token,
    issuer,
    ...(claims !== undefined && { claims: readClaims(claims) }),
  };
}

/** @throws GateError `usage_wrong` (no such file), `config_invalid` with all findings. */
export async function loadAssembly(file: string): Promise<Assembly> {
  const config = await loadConfig(file, process.env);
  if (!config.ok) throw configFault(file, config.error);
  const assembly = await assemble(config.value, file);
  if (!assembly.ok) throw configFault(file, assembly.error);
  return assembly.value;
}

/**
 * @param assembly Stays the caller's to dispose of.
 * @param file The configuration, as the owner typed it.
 * @throws GateError `usage_wrong` where it is not clear whose claims are meant, and what the store and issuers fail at.
 */
export async function explainMadeUp(
  { request, token, claims, issuer }: MadeUp,
  assembly: Assembly,
  file: string,
  warn: (message: string) => void,
): Promise<Explanation> {
  const { config } = assembly;
  let made: ClaimsToken | undefined;
  const claimsVerifier = (route: RouteConfig): Verifier => ({
    verify(_, nowMs) {
      made = completeClaims(claims ?? {}, route, config.issuers, issuer, request.nowMs);
      return judgeClaims(made, nowMs);
    },
  });
  const tokens = openTokenVerifiers(config, { fetch, warn });
  const known = await openKnownLedger(config, warn);
  try {
    const rules = makeRules(claims === undefined ? assembly : withPlaceForClaims(assembly), {
      revocations: known.revocations,
      historyOf: known.historyOf,
      placeOf: await openGeo(config.geo),
      verifierOf: claims === undefined ? tokens.verifierOf : claimsVerifier,
    });
    const placed = placeCredential(rules, request, claims === undefined ? token : STAND_IN);
    const asked = await ask(rules, placed);
    return explainAsked(asked, { rules, file, made, opened: tokens.opened, request: placed });
  } finally {
    tokens.close();
    await known.close();
  }
}

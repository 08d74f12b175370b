/**
 * Explains a request that nobody made: by the gate's own rules, keys and revocations, and with
 * nothing counted, recorded or sent.
 *
 * @module
 */
import { loadConfig } from "../../config/load.ts";
import type { IssuerConfig, RouteConfig } from "../../config/resolved.ts";
import { GateError } from "../../errors.ts";
import { type Assembly, assemble } from "../../gate/assemble.ts";
import { type Decision, decide } from "../../gate/decide.ts";
import { openGeo } from "../../gate/geo.ts";
import { type ReadInquiry, readInquiry } from "../../gate/inquire.ts";
import { matchRoute } from "../../gate/match.ts";
import { type Outbound, outboundRequest } from "../../gate/outbound.ts";
import { RESERVED_PREFIX } from "../../gate/reserved.ts";
import { makeRules } from "../../gate/rules.ts";
import type { Rules } from "../../gate/site.ts";
import { type Issuer, openIssuer } from "../../identity/issuers.ts";
import type { JsonObject } from "../../identity/strict-json.ts";
import { createVerifier, type Verifier } from "../../identity/verify.ts";
import { err, type Result } from "../../result.ts";
import type { Denial, Inquiry } from "../../types.ts";
import { configFault } from "../start-gate.ts";
import { type ClaimsToken, completeClaims, judgeClaims, readClaims } from "./claims-token.ts";
import { explainAsked } from "./explain-asked.ts";
import type { Explanation } from "./explanation.ts";
import { openKnownRevocations } from "./known-revocations.ts";
import { type MadeUpRequest, type RequestFlags, readRequest, withCredential } from "./request.ts";

export type MadeUpFlags = RequestFlags & {
  readonly token?: string;
  readonly claims?: string;
  readonly issuer?: string;
};

/** Stands where a token would be that `--claims` describes. */
const STAND_IN = "claims";

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
  const opened = new Map<string, Issuer>();
  const known = await openKnownRevocations(config, warn);
  try {
    const rules = makeRules(assembly, {
      revocations: known.revocations,
      placeOf: await openGeo(config.geo),
      verifierOf: (route) =>
        claims === undefined ? verifierOf(route, assembly, opened, warn) : claimsVerifier(route),
    });
    const placed = placeCredential(rules, request, claims === undefined ? token : STAND_IN);
    const asked = await ask(rules, placed);
    return explainAsked(asked, { rules, file, made, opened, request: placed });
  } finally {
    for (const one of opened.values()) one.close();
    await known.close();
  }
}

/** Opens the issuers of the one route whose token is to be verified, and only then. */
function verifierOf(
  route: RouteConfig,
  { config }: Assembly,
  opened: Map<string, Issuer>,
  warn: (message: string) => void,
): Verifier {
  let verifier: Verifier | undefined;
  const open = (issuer: IssuerConfig): Issuer => {
    const { folder } = config;
    const one = openIssuer(issuer, { folder, fetch, now: Date.now, warn });
    opened.set(issuer.name, one);
    return one;
  };
  return {
    // Without keys at hand, verifying waits for them, up to 5 s.
    verify(credential, nowMs) {
      const wanted = route.issuers.flatMap((name) =>
        config.issuers.filter((issuer) => issuer.name === name),
      );
      verifier ??= createVerifier(wanted.map(open));
      return verifier.verify(credential, nowMs);
    },
  };
}

/** Where the route looks first; a public route looks nowhere, and gets what clients send anyway. */
function placeCredential(
  rules: Rules,
  request: MadeUpRequest,
  credential: string | undefined,
): MadeUpRequest {
  if (credential === undefined) return request;
  const read = readArrival(rules, request);
  if (!read.ok) return request;
  const { host, path, method } = read.value.inquiry;
  const matched = matchRoute(rules.table, host, path, method);
  const config = matched.ok ? matched.value.config : undefined;
  if (config?.public && credential === STAND_IN) return request;
  return withCredential(request, config?.credentials[0] ?? { kind: "authorization" }, credential);
}

function readArrival(rules: Rules, request: MadeUpRequest): Result<ReadInquiry, Denial> {
  const { address, scheme, nowMs } = request;
  const connection = { address, scheme, trustedOnly: false };
  return readInquiry(request, connection, rules.surroundings, Bun.randomUUIDv7(), nowMs);
}

export type Asked = {
  readonly inquiry?: Inquiry;
  readonly decision?: Decision;
  readonly result: Result<Outbound, Denial>;
};

/** The request's way from arrival to the upstream's door. */
async function ask(rules: Rules, request: MadeUpRequest): Promise<Asked> {
  const read = readArrival(rules, request);
  if (!read.ok) return { result: read };
  const { inquiry, ambiguousPath } = read.value;
  if (inquiry.path.startsWith(RESERVED_PREFIX)) {
    const message = `paths under ${RESERVED_PREFIX} are the gate's own: no route and no policy decides there`;
    throw new GateError("usage_wrong", message);
  }
  const decision = await decide(rules, inquiry, ambiguousPath);
  const { route, result } = decision;
  if (!result.ok || route === undefined) {
    return { inquiry, decision, result: result.ok ? err(FAULT) : result };
  }
  return { inquiry, decision, result: outboundRequest(route, read.value, result.value) };
}

const FAULT: Denial = { status: 500, code: "internal_fault" };

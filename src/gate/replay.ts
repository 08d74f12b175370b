/**
 * Decides recorded requests anew, by other rules: routes are matched and policies asked as they
 * would have been then. What the token was checked for stays as it was recorded; what the audit
 * did not keep is unknown, and never guessed.
 *
 * @module
 */
import type { DecisionEntry } from "../audit/entry.ts";
import type { RouteConfig } from "../config/resolved.ts";
import { refuse } from "../identity/refusal.ts";
import { readPath } from "../lib/path.ts";
import { err, ok, type Result } from "../result.ts";
import type { Inquiry, PolicyOutcome, Refusal, Token } from "../types.ts";
import type { Assembly } from "./assemble.ts";
import { type Decision, decide } from "./decide.ts";
import type { Surroundings } from "./inquire.ts";
import { type Lookout, openLookout, watchedProgram } from "./lookout.ts";
import { recordedToken } from "./recorded-token.ts";
import { RESERVED_PREFIX } from "./reserved.ts";
import { makeRules } from "./rules.ts";

/** What a decision was, or would be. */
export type Judgement = {
  readonly decision: "forward" | "deny";
  readonly status?: number;
  readonly code?: string;
  readonly reason?: string;
  readonly policy?: string;
};

export type Replayed = {
  readonly before: Judgement;
  /** As the rules at hand have it; without meaning while `lacking` is not empty. */
  readonly after: Judgement;
  /** By the rules at hand; absent where there is none. */
  readonly route?: string;
  /** What the decision would depend on and the audit did not keep: `claim department`. */
  readonly lacking: readonly string[];
  /** Of policies under `shadow`: what those that can be told would have said. */
  readonly shadow: readonly PolicyOutcome[];
};

export type Replay = {
  /** One at a time. */
  judge(entry: DecisionEntry): Promise<Replayed>;
};

/** Refused before anything was decided, or for what no rule says. */
const KEPT_AS_IT_WAS: ReadonlySet<string> = new Set([
  "method_unsupported",
  "overloaded",
  "rate_limited",
  "internal_fault",
]);
/** Malformed in a way that other routes would not mind. */
const OF_THE_ROUTE: ReadonlySet<string> = new Set(["path_ambiguous", "path_readings_differ"]);
/** The rules had let it pass; what came then is not theirs. */
const LET_PASS: ReadonlySet<string> = new Set([
  "upstream_unreachable",
  "upstream_timeout",
  "too_large",
]);
/** The policies' own answers. */
const OF_POLICIES: ReadonlySet<string> = new Set([
  "policy_denied",
  "insufficient_scope",
  "step_up_required",
  "policy_fault",
]);

/** Where every route of a replay looks: where it was in truth is not recorded. */
const CREDENTIALS = [{ kind: "authorization" }] as const;
const HEADERS = new Headers({ authorization: "Bearer recorded" });

/**
 * @param assembly The rules to try; stays the caller's to dispose of.
 * @param placeOf For addresses whose country was not recorded.
 */
export function openReplay(assembly: Assembly, placeOf: Surroundings["placeOf"]): Replay {
  let entry: DecisionEntry;
  let lookout: Lookout = openLookout();
  const { config } = assembly;

  const verify = (route: RouteConfig): Result<Token, Refusal> => {
    const refused = refusalIn(entry);
    if (refused !== undefined) return err(refused);
    const { token } = entry;
    if (token === undefined) {
      lookout.note("a credential: none was looked for");
      return refuse("issuer_unknown");
    }
    const issuer = config.issuers.find(({ name }) => name === token.issuer);
    if (issuer === undefined) lookout.note(`issuer ${token.issuer} in the configuration`);
    if (issuer === undefined || !route.issuers.includes(token.issuer)) {
      return refuse("issuer_unknown");
    }
    return ok(recordedToken(entry, token, issuer));
  };
  const rules = makeRules(
    watched(assembly, () => ({ entry, lookout })),
    {
      revocations: { check: () => undefined, state: () => ({ fresh: true }) },
      placeOf,
      verifierOf: (route) => ({ verify: () => verify(route) }),
    },
  );

  return {
    async judge(recorded) {
      entry = recorded;
      lookout = openLookout();
      const before = judgementIn(entry);
      if (isKept(entry))
        return { before, after: before, lacking: [], shadow: [], ...routeIn(entry) };
      const inquiry = inquiryOf(entry, placeOf);
      const path = readPath(entry.path);
      const decision = await decide(rules, inquiry, path.ok && path.value.ambiguous);
      const { route, result, policies } = decision;
      noteUnfitIdentity(decision, entry, lookout);
      noteTimeouts(policies, lookout);
      const lacking = lookout.lacking();
      const inShadow = policies.filter(({ shadow }) => shadow);
      return {
        before,
        after: result.ok ? { decision: "forward" } : judgementOf(result.error, before),
        ...(route && { route: route.config.name }),
        lacking,
        shadow: inShadow.filter(({ name }) => !lookout.isUnsure(name)),
      };
    },
  };
}

function judgementIn({ decision, status, code, reason, policy }: DecisionEntry): Judgement {
  const isPassed = decision === "forward" || (code !== undefined && LET_PASS.has(code));
  if (isPassed) return { decision: "forward", status };
  return {
    decision: "deny",
    status,
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(policy !== undefined && { policy }),
  };
}

function judgementOf(
  { status, code, reason, policy }: Omit<Judgement, "decision">,
  before: Judgement,
): Judgement {
  const denial: Judgement = {
    decision: "deny",
    ...(status !== undefined && { status }),
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(policy !== undefined && { policy }),
  };
  // A stand-in for what was recorded knows less of it than the record.
  return code === before.code && policy === before.policy && (reason || undefined) === before.reason
    ? before
    : denial;
}

/** What no other rule would have decided otherwise. */
function isKept({ code = "", reason = "", host, path, route, decision }: DecisionEntry): boolean {
  if (decision === "forward") return false;
  if (host === "" || path.startsWith(RESERVED_PREFIX)) return true;
  if (code === "too_large") return route === undefined;
  if (code === "request_malformed") {
    return !OF_THE_ROUTE.has(reason) && !reason.startsWith("credential_");
  }
  return KEPT_AS_IT_WAS.has(code);
}

/**
 * Why there was no token that policies could be asked about, as far as the credential goes;
 * `undefined` where they were asked, or nobody looked for one.
 */
function refusalIn({
  code,
  reason = "",
  detail = "",
  route,
  decision,
}: DecisionEntry): Refusal | undefined {
  if (decision === "forward" || code === undefined || route === undefined) return undefined;
  if (OF_POLICIES.has(code) || LET_PASS.has(code)) return undefined;
  if (OF_THE_ROUTE.has(reason) || code === "method_not_allowed" || code === "route_not_found") {
    return undefined;
  }
  // Its own code goes through: the one who replays looks at that, and not at what it is called.
  return { code: code as Refusal["code"], reason, detail };
}

function routeIn({ route }: DecisionEntry): { readonly route?: string } {
  return route === undefined ? {} : { route };
}

function inquiryOf(entry: DecisionEntry, placeOf: Surroundings["placeOf"]): Inquiry {
  const { requestId: id, method, scheme, host, path, client } = entry;
  const known = placeOf(client.ip);
  return {
    id,
    method,
    scheme,
    host,
    authority: host,
    path,
    query: "",
    headers: HEADERS,
    client: {
      ip: client.ip,
      country: client.country ?? known.country,
      location: known.location,
      device: client.device ?? { platform: "unknown", browser: "unknown", mobile: false },
    },
    nowMs: Date.parse(entry.at),
  };
}

/** The assembly with an eye on what policies look at, and one place for every credential. */
function watched(
  assembly: Assembly,
  at: () => { readonly entry: DecisionEntry; readonly lookout: Lookout },
): Assembly {
  const routes = assembly.config.routes.map((route) =>
    route.public ? route : { ...route, credentials: CREDENTIALS },
  );
  const programs = [...assembly.programs].map(
    ([name, program]) => [name, watchedProgram(program, at)] as const,
  );
  return { ...assembly, config: { ...assembly.config, routes }, programs: new Map(programs) };
}

/** Whether a claim that fitted no header then would fit now cannot be told without it. */
function noteUnfitIdentity(
  { route, result }: Decision,
  entry: DecisionEntry,
  lookout: Lookout,
): void {
  if (!result.ok || route === undefined || entry.reason !== "identity_unfit") return;
  for (const [, claim] of route.identity) {
    const isKnown =
      Object.hasOwn(entry.claims ?? {}, claim) || entry.claimsAbsent?.includes(claim) === true;
    if (!isKnown) lookout.note(`claim ${claim}`);
  }
}

/** How busy this machine is says nothing of how a gate would have decided. */
function noteTimeouts(policies: readonly PolicyOutcome[], lookout: Lookout): void {
  for (const { name, verdict, code, shadow } of policies) {
    if (verdict !== "fault" || code !== "timeout") continue;
    if (shadow) lookout.doubt(name);
    else lookout.note(`an answer of policy ${name} in time`);
  }
}

/**
 * The site: everything that is in force at one moment. A request takes it once and keeps
 * it to its end; a reload makes another and swaps it in whole.
 *
 * @module
 */
import type { EntryPlan } from "../audit/entry.ts";
import type { Feed } from "../audit/feed.ts";
import type { Config, RouteConfig } from "../config/resolved.ts";
import type { Assertions } from "../identity/assertion.ts";
import type { Issuer } from "../identity/issuers.ts";
import type { Verifier } from "../identity/verify.ts";
import type { Revocations } from "../ledger/revocations.ts";
import type { Login } from "../login/login.ts";
import type { SessionFinder } from "../login/sessions.ts";
import type { Program } from "../policy/compose.ts";
import type { PolicySet } from "../policy/load.ts";
import type { HeaderPlan } from "../proxy/headers.ts";
import type { Upstream } from "../proxy/upstream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { SubjectHash } from "../telemetry/subject-hash.ts";
import type { History, Token } from "../types.ts";
import type { Surroundings } from "./inquire.ts";
import type { Ledger } from "./ledger.ts";
import type { RouteTable } from "./match.ts";
import type { LiveStreams } from "./streams.ts";

/** What decides: no socket, no clock, no pool. `check`, `test` and `explain` need no more. */
export type Rules = {
  readonly config: Config;
  readonly policies: PolicySet;
  readonly surroundings: Surroundings;
  readonly table: RouteTable<Route>;
  readonly routes: readonly Route[];
  /** By which any route or policy tells an application something; never taken from a client. */
  readonly claimedHeaders: readonly string[];
  readonly revocations: Pick<Revocations, "check" | "state">;
  /** A token's past; without it every token is one that was never seen. */
  readonly historyOf?: ((token: Token) => Promise<History>) | undefined;
  /** Of browsers that are signed in; without it nobody is. */
  readonly sessions?: SessionFinder | undefined;
};

export type Route = {
  readonly config: RouteConfig;
  /** Absent where the route has no policies. */
  readonly program?: Program;
  /** Absent on a public route. */
  readonly verifier?: Verifier;
  readonly headerPlan: HeaderPlan;
  /** Header name and claim name. */
  readonly identity: readonly (readonly [header: string, claim: string])[];
  /** Identity header values by token: a warm token costs one look-up. */
  readonly identityCache: WeakMap<Token, readonly (readonly [string, string])[]>;
};

/** Rules with what serves them. */
export type Site = Rules & {
  readonly issuers: ReadonlyMap<string, Issuer>;
  /** By the names of the issuers, in the route's order. */
  readonly verifiers: ReadonlyMap<string, Verifier>;
  /** By the route's name. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** What the audit keeps of a decision. */
  readonly entryPlan: EntryPlan;
};

/** The running gate. `site` is swapped whole by a reload; everything else stays. */
export type Gate = {
  site: Site;
  draining: boolean;
  /** How the last reload went; absent before the first. */
  lastReload?: { readonly inForce: boolean; readonly atMs: number };
  readonly ledger: Ledger;
  readonly login: Login;
  /** What upstreams are told of users in the gate's own name. */
  readonly assertions: Assertions;
  /** What is open at the moment. */
  readonly streams: LiveStreams;
  /** What is decided, for those who watch. */
  readonly decisions: Feed;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly subjectHash: SubjectHash;
  readonly now: () => number;
};

/**
 * What a policy is made of, as its author writes it. `sdk.ts` hands these types to policies;
 * this text also lies on disk for their editors, so it uses nothing of the runtime's own.
 *
 * @module
 */
import type { Static, TObject, TSchema } from "@sinclair/typebox";

// biome-ignore lint/complexity/noBannedTypes: a schema without members is exactly what is meant
type Nothing = TObject<{}>;

/** One policy's answer. Made by `allow()`, `deny()` or `challenge()`. */
export type PolicyVerdict = Allow | Deny | Challenge;

export type Allow = {
  readonly verdict: "allow";
  /** Set on the request to the upstream, if the whole route allows. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How often this may be allowed, if the whole route allows. */
  readonly rateLimit?: PolicyRateLimit;
  /** One line for the operator, as of a denial: why it was allowed, where that is not plain. */
  readonly detail?: string;
  /** What is unusual about the request, in snake_case: noted in the ledger, whatever is decided. */
  readonly unusual?: readonly string[];
};

/** A token bucket: as many as `limit` at once, refilled evenly; who is refused takes nothing. */
export type PolicyRateLimit = {
  /** Whole, from 1 to 1,000,000. */
  readonly limit: number;
  /** A duration as the configuration writes it, up to 31 days: `1s`, `1m`, `24h`. */
  readonly per: string;
  /**
   * Who shares a bucket: all tokens of a subject, one token, a client's address, or whoever gets
   * the same key (up to 512 characters). Each policy has buckets of its own, over all the routes
   * it guards.
   */
  readonly by: "subject" | "token" | "address" | { readonly key: string };
};

export type Deny = {
  readonly verdict: "deny";
  /** Stable and snake_case; for the operator: the client only ever sees `policy_denied`. */
  readonly code: string;
  /** One line for the operator. Name what was wanted, never what the token holds. */
  readonly detail?: string;
  /** What the gate revokes once it has refused the request. */
  readonly revoke?: Revoke;
  /**
   * `true`: the code itself is noted in the ledger as unusual, whatever is decided; else the
   * signals that are. A denial that revokes always is.
   */
  readonly unusual?: true | readonly string[];
};

/**
 * `token`: this one. `session`: the sign-in it belongs to; a token without one is revoked itself.
 * `subject`: all tokens of the same issuer and `sub` that were issued until now.
 */
export type Revoke = "token" | "session" | "subject";

export type Challenge = {
  readonly verdict: "challenge";
  /** Authentication context classes, in order of preference (`acr_values`, RFC 9470). */
  readonly acr?: string | readonly string[];
  /** Seconds that may have passed since the person signed in (`max_age`, RFC 9470). */
  readonly maxAge?: number;
  /** What the token lacks: the client gets `insufficient_scope` (RFC 6750 §3.1). */
  readonly scope?: string | readonly string[];
  /** What is unusual about the request, in snake_case: noted in the ledger, whatever is decided. */
  readonly unusual?: readonly string[];
};

/** The verified token in normal form. */
export type PolicyToken = {
  /** The `iss` claim. */
  readonly issuer: string;
  /** The `sub` claim; empty if the issuer need not send one. */
  readonly subject: string;
  readonly audience: readonly string[];
  /** The `jti` claim. */
  readonly id?: string;
  /** The `iat` claim. */
  readonly issuedAt?: Date;
  /** The `exp` claim. */
  readonly expiresAt: Date;
  readonly scopes: readonly string[];
};

/** The request as it was matched; its body is not for policies. */
export type PolicyRequest = {
  /** Upper case as received. */
  readonly method: string;
  readonly url: string;
  /** Lower case, without port. */
  readonly host: string;
  /** The path that was decided on, before `stripPrefix`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** As the client sent them. */
  readonly headers: Headers;
  /** The gate's own request id. */
  readonly id: string;
};

/** Who is asking, besides the token. */
export type PolicyClient = {
  /** Canonical address, or "unix" for a caller over a unix socket. */
  readonly ip: string;
  /** ISO 3166-1 alpha-2; absent without a geo database, or for an address it does not know. */
  readonly country?: string;
  /** Degrees north and east; absent unless the geo database knows places. */
  readonly location?: { readonly latitude: number; readonly longitude: number };
  readonly device: {
    /** `windows`, `macos`, `linux`, `android`, `ios`, `chromeos` or `unknown`. */
    readonly platform: string;
    /** `chrome`, `edge`, `firefox`, `safari`, `opera`, `samsung`, `curl`, … or `unknown`. */
    readonly browser: string;
    readonly mobile: boolean;
  };
};

/** What the gate remembers of the token or session at hand; the present request is not in it. */
export type TokenHistory = {
  /** The present moment for a token that was never seen before. */
  readonly firstSeen: Date;
  readonly lastSeen: Date;
  readonly requests: number;
  readonly denials: number;
  /** Denials since the last request that passed. */
  readonly deniedInRow: number;
  /** Requests in the minute of `lastSeen`, and the most in any minute before that. */
  readonly lastMinute: number;
  readonly busiestMinute: number;
  /** When its owner signed out; absent if the gate has not heard of that. */
  readonly signedOut?: Date;
  /** Where it came from, the latest first; at most 32. */
  readonly addresses: readonly {
    readonly ip: string;
    readonly country?: string;
    /** Degrees north and east, where the geo database knows places. */
    readonly location?: { readonly latitude: number; readonly longitude: number };
    readonly firstSeen: Date;
    readonly lastSeen: Date;
    readonly requests: number;
  }[];
  /** What it came with, the latest first; at most 16. */
  readonly devices: readonly {
    /** Browser and platform: `firefox on windows`, `curl on unknown`. */
    readonly name: string;
    readonly firstSeen: Date;
    readonly lastSeen: Date;
    readonly requests: number;
  }[];
};

/**
 * What `evaluate` gets. Everything is frozen, or a copy of this policy's own.
 * Take members out of it by name; it cannot be spread.
 */
export type PolicyInput<C extends TSchema = Nothing, O extends TSchema = Nothing> = {
  /** Checked against the policy's `claims`; what the schema does not name is `unknown`. */
  readonly claims: Static<C> & { readonly [claim: string]: unknown };
  /** From the configuration, checked against the policy's `options`, with defaults filled in. */
  readonly options: Static<O>;
  readonly token: PolicyToken;
  readonly request: PolicyRequest;
  readonly client: PolicyClient;
  readonly route: { readonly name: string };
  /** The moment of the decision: use this rather than `new Date()`, so that cases can set it. */
  readonly now: Date;
  /**
   * What the gate remembers of this token or session, without the request at hand. Read once for
   * all policies of a decision, mostly from memory.
   */
  readonly history: () => Promise<TokenHistory>;
  /**
   * A secret of the operator's: the environment variable of that name.
   *
   * @throws If it is not set, which closes the gate for this request.
   */
  readonly secret: (name: string) => string;
  /** Like the global one, but ends with `signal`, and does not follow redirects unless told to. */
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>;
  /** Aborts when `policyTimeout` has passed. */
  readonly signal: AbortSignal;
};

/** What a case expects: a verdict's name, `deny` with its code, or `allow` with exactly these headers. */
export type Expectation =
  | "allow"
  | "challenge"
  | "fault"
  | `deny ${string}`
  | { readonly allow: { readonly headers: Readonly<Record<string, string>> } };

/** A moment: a Date, or text like `2026-01-05T12:00:00Z`. */
type Moment = string | Date;

/** A token's past, as far as a case cares; all of it may be left out. */
export type CaseHistory = {
  /** Default: an hour before the case's `now`. */
  readonly firstSeen?: Moment;
  /** Default: a minute before the case's `now`. */
  readonly lastSeen?: Moment;
  /** Default: as many as its addresses have, at least 1. */
  readonly requests?: number;
  /** Default: `deniedInRow`. */
  readonly denials?: number;
  /** Default: 0. */
  readonly deniedInRow?: number;
  /** Default: 1. */
  readonly lastMinute?: number;
  /** Default: 1. */
  readonly busiestMinute?: number;
  readonly signedOut?: Moment;
  /** In any order. Times are those of the whole unless given, `requests` is 1. */
  readonly addresses?: readonly {
    readonly ip: string;
    readonly country?: string;
    readonly location?: { readonly latitude: number; readonly longitude: number };
    readonly firstSeen?: Moment;
    readonly lastSeen?: Moment;
    readonly requests?: number;
  }[];
  /** In any order. Times are those of the whole unless given, `requests` is 1. */
  readonly devices?: readonly {
    readonly name: string;
    readonly firstSeen?: Moment;
    readonly lastSeen?: Moment;
    readonly requests?: number;
  }[];
};

/** An example that must hold: run by `claimgate check`, and before a policy is put in force. */
export type PolicyCase<C extends TSchema = Nothing, O extends TSchema = Nothing> = {
  readonly name: string;
  /** What the configuration would say; defaults are filled in. */
  readonly options?: Partial<Static<O>>;
  /** The token's claims, as mapped; `sub` is "alice" unless given. */
  readonly claims?: Partial<Static<C>> & { readonly [claim: string]: unknown };
  /**
   * Default: issued a minute before `now` by `https://issuer.example`, valid for an hour more.
   * `undefined` takes a member away that may be absent.
   */
  readonly token?: { readonly [M in keyof PolicyToken]?: PolicyToken[M] | undefined };
  /** Default: `GET https://app.example/` without headers. */
  readonly request?: {
    readonly method?: string;
    /** Whole, or from its path on: `/orders/1?page=2`. */
    readonly url?: string;
    /** Instead of the one in `url`. */
    readonly host?: string;
    /** Instead of the one in `url`. */
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  /** Default: 192.0.2.1, no country, and the device that the request's headers tell of. */
  readonly client?: {
    readonly ip?: string;
    readonly country?: string;
    readonly location?: { readonly latitude: number; readonly longitude: number };
    readonly device?: Partial<PolicyClient["device"]>;
  };
  /** Default: that of a token never seen before. */
  readonly history?: CaseHistory;
  /** Default: 2026-01-05T12:00:00Z, a Monday. */
  readonly now?: string | Date;
  /** Answers instead of the network; without it `fetch` fails. */
  readonly fetch?: (url: string, init?: RequestInit) => Response | Promise<Response>;
  /** Answers instead of the environment. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly expect: Expectation;
};

export type PolicyDefinition<C extends TSchema = Nothing, O extends TSchema = Nothing> = {
  /** One line: what the policy lets pass. */
  readonly description: string;
  /** The claims it needs. A token whose claims do not fit is denied (`claims_mismatch`). */
  readonly claims?: C;
  /** What the configuration may set; defaults make a plain `- name` work. */
  readonly options?: O;
  /** The answer. May be async; whatever it throws closes the gate for this request. */
  readonly evaluate: (
    input: PolicyInput<NoInfer<C>, NoInfer<O>>,
  ) => PolicyVerdict | Promise<PolicyVerdict>;
  readonly cases?: readonly PolicyCase<NoInfer<C>, NoInfer<O>>[];
};

/**
 * The nouns of the project. Types alone: whoever makes one of these says how.
 *
 * @module
 */

/** The members of a verified token's payload after claim mapping. Data only, frozen deeply. */
export type Claims = Readonly<Record<string, unknown>>;

/** A verified credential in normal form. Times are NumericDates: seconds since 1970 (RFC 7519 §2). */
export type Token = {
  /** The `iss` claim, byte for byte. */
  readonly issuer: string;
  /** The issuer's name in the configuration. */
  readonly issuerName: string;
  /** The `sub` claim; empty where the issuer does not require one and the token has none. */
  readonly subject: string;
  readonly audience: readonly string[];
  /** The `jti` claim. */
  readonly id?: string;
  readonly issuedAt?: number;
  readonly expiresAt: number;
  readonly scopes: readonly string[];
  readonly claims: Claims;
  /** Tells this very token from all others (`identity/token-digest.ts`); absent for one that was made up to try rules on. */
  readonly digest?: string;
  /** Of a browser's session: its public id, never the cookie. Absent for a bearer token. */
  readonly session?: string;
  /** Absent for one that was made up to try rules on, and for an opaque one. */
  readonly signedBy?: SigningKey;
};

/** What the ledger wants to know of the key that has signed a token. */
export type SigningKey = {
  readonly kid?: string;
  /** The length of an RSA modulus. */
  readonly rsaBits?: number;
};

/** One address, device or route that a token was seen with. */
export type Trace = {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly requests: number;
  /** Of an address, as the geo database knew it. */
  readonly country?: string;
  readonly location?: Location;
};

/** What the ledger knows of one token or session: its past, without the request at hand. */
export type History = {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly requests: number;
  readonly denials: number;
  /** Denials since the last request that passed. */
  readonly deniedInRow: number;
  /** Requests in the minute that `lastMs` is in, and the most in any minute before that. */
  readonly lastMinute: number;
  readonly busiestMinute: number;
  /** When its subject or its provider's session signed out; absent if that was not heard of. */
  readonly signedOutMs?: number;
  /** The latest first, at most 32. */
  readonly addresses: readonly Trace[];
  /** The latest first, at most 16. */
  readonly devices: readonly Trace[];
};

/** Why a credential is not a token; `code` is what the client may know, `reason` is the operator's. */
export type Refusal = {
  readonly code: "token_invalid" | "token_expired" | "keys_unavailable";
  /** Stable, snake_case: `signature_invalid`, `audience_mismatch`, `algorithm_refused`, … */
  readonly reason: string;
  /** One line for the operator; never a claim, never token bytes. */
  readonly detail: string;
};

/** What is known of the caller besides the token. */
export type Client = {
  /** Canonical address (an IPv4-mapped IPv6 address is IPv4), or "unix". */
  readonly ip: string;
  /** ISO 3166-1 alpha-2, where a geo database is configured and knows the address. */
  readonly country?: string | undefined;
  /** Where a geo database knows of places, not just of countries. */
  readonly location?: Location | undefined;
  readonly device: Device;
};

/** Degrees north and east (WGS 84). */
export type Location = { readonly latitude: number; readonly longitude: number };

export type Device = {
  /** `windows`, `macos`, `linux`, `android`, `ios`, `chromeos` or `unknown`. */
  readonly platform: string;
  /** `chrome`, `edge`, `firefox`, `safari`, `curl`, … or `unknown`. */
  readonly browser: string;
  readonly mobile: boolean;
};

/** One request as the gate reads it: the only thing that rules may look at. */
export type Inquiry = {
  /** Ours, never the client's: a UUIDv7 (RFC 9562 §5.7), sortable by time. */
  readonly id: string;
  /** Upper case as received. */
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Lower case, without port or trailing dot. */
  readonly host: string;
  /** Host and port as the client sent them. */
  readonly authority: string;
  /** The canonical path: what is decided on is what is forwarded. Begins with "/". */
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
  readonly headers: Headers;
  readonly client: Client;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
};

/** RFC 9470 and RFC 6750 §3: what the client would have to bring. */
export type Challenge = {
  readonly acr?: readonly string[];
  /** Seconds since the person last signed in. */
  readonly maxAge?: number;
  readonly scope?: readonly string[];
};

/** One policy's answer within one decision. */
export type PolicyOutcome = {
  readonly name: string;
  readonly verdict: "allow" | "deny" | "challenge" | "fault";
  /** The policy's own code (`role_missing`), or `claims_mismatch`, `timeout`, `threw`, `nonsense`. */
  readonly code?: string;
  readonly detail?: string;
  readonly ms: number;
  readonly shadow: boolean;
  /** What struck it as unusual, whatever was decided; absent if nothing did, under `not` and `shadow`. */
  readonly unusual?: readonly string[];
};

/** An obligation of a policy's allow: how often those who share a bucket may pass. */
export type RateLimit = {
  /** The policy that asks for it: its limits are its own, over all routes it guards. */
  readonly policy: string;
  /** As many at once; refilled evenly over `perMs`. */
  readonly limit: number;
  readonly perMs: number;
  /** Who shares a bucket. */
  readonly by: "subject" | "token" | "address" | { readonly key: string };
};

/** Where the one who asks stands with a limit. */
export type LimitStanding = {
  readonly limit: number;
  readonly remaining: number;
  /** Until more is available. */
  readonly resetSeconds: number;
  /** In which an empty bucket is full again. */
  readonly windowSeconds: number;
};

export type DenialCode =
  | "request_malformed"
  | "token_missing"
  | "token_invalid"
  | "token_expired"
  | "token_revoked"
  | "step_up_required"
  | "policy_denied"
  | "insufficient_scope"
  | "policy_fault"
  | "route_not_found"
  | "method_not_allowed"
  | "too_large"
  | "method_unsupported"
  | "rate_limited"
  | "upstream_unreachable"
  | "upstream_timeout"
  | "internal_fault"
  | "keys_unavailable"
  | "store_unavailable"
  | "overloaded"
  | "cross_site"
  | "login_failed"
  | "issuer_unreachable";

/** A decision not to forward: a value, never an exception. */
export type Denial = {
  readonly status: number;
  readonly code: DenialCode;
  /** The operator's reason: `audience_mismatch`, a policy's own code, `identity_unfit`, … */
  readonly reason?: string;
  readonly detail?: string;
  /** The policy that denied. */
  readonly policy?: string;
  /** What that policy wants revoked besides; applied after the decision, never inside it. */
  readonly revoke?: "token" | "session" | "subject";
  /** Where a policy broke, without what it was given. */
  readonly stack?: string;
  readonly challenge?: Challenge;
  /** For a person's page: where they can sign in, anew or for the first time; a path of ours. */
  readonly signIn?: string;
  /** Methods for the `Allow` field of a 405. */
  readonly allow?: readonly string[];
  /** For `Retry-After`: whole, at least 1. */
  readonly retryAfterSeconds?: number;
  /** Of a 429: the limit that refused. */
  readonly rateLimit?: LimitStanding;
  /** What a gRPC client reads instead of the status. */
  readonly grpcStatus?: number;
};

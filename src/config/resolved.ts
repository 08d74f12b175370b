/**
 * The configuration in force: defaults filled in, units resolved, references checked,
 * paths absolute. `load.ts` makes it; nothing here reads a file.
 *
 * @module
 */

/** Where something stands in a YAML file; both start at 1. */
export type Position = { readonly line: number; readonly column: number };

/** The keys and indexes that lead to a value: `["routes", 0, "policies", 1]`. */
export type YamlPath = readonly (string | number)[];

export type ListenAddress =
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Where an issuer's keys come from. */
export type KeyOrigin =
  | { readonly kind: "discovery"; readonly issuer: string }
  | { readonly kind: "jwksUri"; readonly url: string }
  | { readonly kind: "jwks"; readonly file: string }
  | { readonly kind: "publicKey"; readonly file: string }
  | { readonly kind: "development"; readonly folder: string };

/** How the gate signs people in with an issuer: OpenID Connect, authorization code. */
export type LoginConfig = {
  readonly clientId: string;
  /** Absent: as the provider's metadata say. `none` is a public client (PKCE alone). */
  readonly clientAuth?: "basic" | "post" | "private_key_jwt" | "none";
  /** A secret. With one, neither `none` nor `private_key_jwt`. */
  readonly clientSecret?: string;
  /** A secret, for `private_key_jwt`: a private JWK (JSON) or PKCS #8 PEM that can sign. */
  readonly clientKey?: string;
  /** Always with `openid`. */
  readonly scopes: readonly string[];
  /** Whether claims of the UserInfo endpoint overlay those of the ID token. */
  readonly userinfo: boolean;
};

/** Where tokens that say nothing by themselves are asked about (RFC 7662). */
export type IntrospectionConfig = {
  /** https, or http on loopback. */
  readonly url: string;
  readonly clientId: string;
  /** A secret. */
  readonly clientSecret?: string;
  /** How long an answer holds; 0 asks each time. */
  readonly cacheMs: number;
};

export type IssuerConfig = {
  readonly name: string;
  /** Compared exactly with `iss`. */
  readonly issuer: string;
  /** At least one must be in a bearer token's `aud`. Empty only for an issuer with nothing but `login`: no bearer token of it passes. */
  readonly audiences: readonly string[];
  readonly keys: KeyOrigin;
  readonly refreshMs: number;
  readonly staleForMs: number;
  /** JWS algorithms; `Ed25519` counts as `EdDSA`. */
  readonly algorithms: readonly string[];
  /** Lower case without `application/`; absent when the owner wrote none (then at+jwt, jwt or no `typ`). */
  readonly tokenTypes?: readonly string[];
  readonly clockToleranceSeconds: number;
  readonly maxLifetimeSeconds: number;
  readonly requiredClaims: readonly string[];
  /** A private JWK (JSON) or PKCS #8 PEM: tokens are then JWE around a signed JWT, and nothing else. */
  readonly decryptionKey?: string;
  /** Our name: where it is in the token. */
  readonly claims: Readonly<Record<string, string>>;
  readonly login?: LoginConfig;
  readonly introspection?: IntrospectionConfig;
};

export type PolicyRef =
  | {
      readonly kind: "policy";
      readonly name: string;
      /** As written; the policy's schema fills defaults. `undefined` for a plain `- name`. */
      readonly options: unknown;
      readonly path: YamlPath;
    }
  | { readonly kind: "all" | "any"; readonly of: readonly PolicyRef[]; readonly path: YamlPath }
  | { readonly kind: "not" | "shadow"; readonly of: PolicyRef; readonly path: YamlPath };

export type UpstreamAddress =
  | { readonly kind: "http"; readonly origin: string }
  | { readonly kind: "unix"; readonly socket: string }
  | { readonly kind: "echo" };

/** Where a route looks for the credential. */
export type CredentialPlace =
  | { readonly kind: "authorization" }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "cookie"; readonly name: string }
  | { readonly kind: "query"; readonly name: string }
  /** The gate's own cookie; only on a route with `login`. */
  | { readonly kind: "session" };

/** A token of the gate's own about the user, for the upstream. */
export type AssertionConfig = {
  /** As written. */
  readonly header: string;
  /** Its `aud`. */
  readonly audience: string;
  readonly lifetimeMs: number;
  /** Names of claims that are passed on, where the token has them; `sub` always is. */
  readonly claims: readonly string[];
};

export type HeaderEdits = {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
};

/** A token bucket: bursts up to `limit`, refilled evenly over `perMs`. */
type RateConfig = { readonly limit: number; readonly perMs: number };

export type RateLimitConfig = RateConfig & { readonly by: "subject" | "token" | "address" };

/** What counts against an address: verifications that fail. */
export type AddressLimitConfig = RateConfig & { readonly of: "failures" };

/** How open WebSockets and answers that go on are watched; without meaning on a public route. */
export type StreamsConfig = {
  /** How often the policies are asked again. */
  readonly recheckMs: number;
  /** How long one may outlive its token. */
  readonly graceOnExpiryMs: number;
};

export type StoreConfig =
  | {
      readonly kind: "sqlite";
      /** Absolute; its folder was there. */
      readonly file: string;
    }
  | {
      readonly kind: "redis";
      /** A secret: it may hold a password. Without our own `prefix` parameter. */
      readonly url: string;
      /** Before every key. */
      readonly prefix: string;
    };

export type AuditConfig = {
  /** `declared`: `sub`, and what the route's policies declare; or just these claims. */
  readonly claims: "declared" | readonly string[];
  /** Names of query parameters that are recorded; never one that a credential comes in. */
  readonly query: readonly string[];
  readonly retainMs: number;
  /** Absolute path of a JSON-lines file besides the store; its folder was there. */
  readonly file?: string;
};

export type RouteConfig = {
  readonly name: string;
  readonly match: {
    /** Lower case; `*.acme.dev` for one label; absent for any host. */
    readonly host?: string;
    /** Exact, or ending in `/*`; `/*` when not written. */
    readonly path: string;
    /** Upper case; absent for every method. GET implies HEAD. */
    readonly methods?: readonly string[];
  };
  /** Empty for a route that only forward-auth asks about: a live request to it finds no route. */
  readonly upstreams: readonly UpstreamAddress[];
  readonly stripPrefix?: string;
  readonly addPrefix?: string;
  /** Names; never empty unless `public`. */
  readonly issuers: readonly string[];
  /**
   * Absent: browsers are not sent to sign in, and sessions are not looked at. `issuer` is one of
   * `issuers`, with `login`; absent where the route leaves the choice to the person.
   */
  readonly login?: { readonly issuer?: string };
  /** With a session cookie: whether unsafe methods and upgrades from a foreign `Origin` pass. */
  readonly crossSite: "refuse" | "allow";
  readonly credentials: readonly CredentialPlace[];
  readonly policies: readonly PolicyRef[];
  readonly anyAuthenticated: boolean;
  readonly public: boolean;
  /** Header name as written: claim name. */
  readonly identityHeaders: Readonly<Record<string, string>>;
  readonly forwardToken: boolean;
  readonly assertion?: AssertionConfig;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly preserveHost: boolean;
  readonly timeoutMs: number;
  readonly ambiguousPaths: "refuse" | "allow";
  readonly rateLimit?: RateLimitConfig;
  readonly streams: StreamsConfig;
  readonly path: YamlPath;
};

export type SessionConfig = {
  /** A session that nobody uses ends after this. */
  readonly idleMs: number;
  /** Every session ends after this. */
  readonly lifetimeMs: number;
  /** How often claims are renewed where the provider gave a refresh token. */
  readonly refreshMs: number;
  /**
   * Secrets that cookies and stored tokens are protected with: the first writes, all read.
   * Empty: the gate makes one by itself beside its SQLite store (never with Redis).
   */
  readonly secrets: readonly string[];
};

export type AdminConfig = {
  /** A socket `claimgate.sock` beside the SQLite store, or beside the configuration, by default. */
  readonly listen: ListenAddress;
  /** A secret; there always is one with a TCP address. */
  readonly token?: string;
};

/** How the gate's own pages look. */
export type BrandConfig = {
  readonly name?: string;
  /** `#rgb` or `#rrggbb`, lower case. */
  readonly colour?: string;
};

export type TlsConfig = {
  /** Absolute file paths; read when a listener starts, watched afterwards. */
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
  readonly clientAuth: "none" | "required";
};

export type Config = {
  /** Absolute path of claimgate.yaml. */
  readonly file: string;
  /** Its folder: relative paths and `.claimgate/` are in it. */
  readonly folder: string;
  readonly listen: readonly ListenAddress[];
  /** An origin: https, or http on loopback. There always is one where any route has `login`. */
  readonly publicUrl?: string;
  readonly tls?: TlsConfig;
  readonly http: {
    readonly http2: boolean;
    readonly maxBodyBytes: number;
    readonly idleTimeoutMs: number;
  };
  readonly allowPlainHttp: boolean;
  /** CIDR ranges in canonical form, or "unix". */
  readonly trustedProxies: readonly string[];
  /** Absolute path of the policies folder. */
  readonly policies: string;
  readonly policyTimeoutMs: number;
  readonly reload: { readonly requireCases: boolean };
  /** Absolute path of an mmdb file. */
  readonly geo?: string;
  readonly issuers: readonly IssuerConfig[];
  readonly routes: readonly RouteConfig[];
  readonly store: StoreConfig;
  readonly revocation: {
    /** How long a store that does not answer leaves the revocations known in memory good. */
    readonly maxStalenessMs: number;
    readonly onStoreLoss: "refuse" | "serve";
  };
  readonly audit: AuditConfig;
  readonly limits: {
    /** Absent where the owner switched it off. */
    readonly address?: AddressLimitConfig;
  };
  readonly session: SessionConfig;
  /** How long tokens and sessions are remembered after they expired. */
  readonly ledger: { readonly retainMs: number };
  readonly admin: AdminConfig;
  readonly brand?: BrandConfig;
  /** Processes that serve together; 1 is this one alone. */
  readonly workers: number;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
  /** The place of a value, or of its nearest ancestor that is written. */
  readonly positionOf: (path: YamlPath) => Position;
};

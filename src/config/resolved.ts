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

export type IssuerConfig = {
  readonly name: string;
  /** Compared exactly with `iss`. */
  readonly issuer: string;
  /** At least one must be in `aud`. Never empty. */
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
  | { readonly kind: "query"; readonly name: string };

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
  readonly upstreams: readonly UpstreamAddress[];
  readonly stripPrefix?: string;
  readonly addPrefix?: string;
  /** Names; never empty unless `public`. */
  readonly issuers: readonly string[];
  readonly credentials: readonly CredentialPlace[];
  readonly policies: readonly PolicyRef[];
  readonly anyAuthenticated: boolean;
  readonly public: boolean;
  /** Header name as written: claim name. */
  readonly identityHeaders: Readonly<Record<string, string>>;
  readonly forwardToken: boolean;
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly preserveHost: boolean;
  readonly timeoutMs: number;
  readonly ambiguousPaths: "refuse" | "allow";
  readonly rateLimit?: RateLimitConfig;
  readonly streams: StreamsConfig;
  readonly path: YamlPath;
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
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
  /** The place of a value, or of its nearest ancestor that is written. */
  readonly positionOf: (path: YamlPath) => Position;
};

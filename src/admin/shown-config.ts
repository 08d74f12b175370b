/**
 * `/v1/config`: the configuration in force, without a secret. What is shown is written out here,
 * member by member: what comes to the configuration is hidden until somebody shows it.
 *
 * @module
 */
import type {
  Config,
  CredentialPlace,
  IssuerConfig,
  KeyOrigin,
  ListenAddress,
  PolicyRef,
  RouteConfig,
} from "../config/resolved.ts";
import { endpoint } from "./endpoint.ts";
import { ShownConfig } from "./schemas.ts";
import { upstreamWord } from "./site-views.ts";

export const configEndpoint = endpoint({
  method: "GET",
  path: "/v1/config",
  summary: "The configuration in force, without its secrets",
  answers: ShownConfig,
  answer: ({ config }) => shownConfig(config()),
});

/** In place of a secret: it is there, and that is all. */
const SET = "[set]";

export function shownConfig(config: Config): Record<string, unknown> {
  const { tls, store, session, admin } = config;
  return {
    file: config.file,
    listen: config.listen.map(listenWord),
    publicUrl: config.publicUrl,
    tls: tls && {
      cert: tls.cert,
      key: tls.key,
      clientCa: tls.clientCa,
      clientAuth: tls.clientAuth,
    },
    http: { ...config.http },
    allowPlainHttp: config.allowPlainHttp,
    trustedProxies: config.trustedProxies,
    policies: config.policies,
    policyTimeoutMs: config.policyTimeoutMs,
    reload: { requireCases: config.reload.requireCases },
    geo: config.geo,
    issuers: config.issuers.map(shownIssuer),
    routes: config.routes.map(shownRoute),
    store:
      store.kind === "sqlite"
        ? { kind: store.kind, file: store.file }
        : { kind: store.kind, url: bareUrl(store.url), prefix: store.prefix },
    revocation: { ...config.revocation },
    audit: { ...config.audit },
    limits: { address: config.limits.address },
    session: {
      idleMs: session.idleMs,
      lifetimeMs: session.lifetimeMs,
      refreshMs: session.refreshMs,
      secrets: session.secrets.map(() => SET),
    },
    ledger: { retainMs: config.ledger.retainMs },
    admin: { listen: listenWord(admin.listen), token: setOrNot(admin.token) },
    brand: config.brand,
    workers: config.workers,
    log: { level: config.log.level },
  };
}

function shownIssuer({ login, introspection, ...issuer }: IssuerConfig) {
  return {
    name: issuer.name,
    issuer: issuer.issuer,
    audiences: issuer.audiences,
    keys: shownKeys(issuer.keys),
    refreshMs: issuer.refreshMs,
    staleForMs: issuer.staleForMs,
    algorithms: issuer.algorithms,
    tokenTypes: issuer.tokenTypes,
    clockToleranceSeconds: issuer.clockToleranceSeconds,
    maxLifetimeSeconds: issuer.maxLifetimeSeconds,
    requiredClaims: issuer.requiredClaims,
    decryptionKey: setOrNot(issuer.decryptionKey),
    claims: issuer.claims,
    login: login && {
      clientId: login.clientId,
      clientAuth: login.clientAuth,
      clientSecret: setOrNot(login.clientSecret),
      clientKey: setOrNot(login.clientKey),
      scopes: login.scopes,
      userinfo: login.userinfo,
    },
    introspection: introspection && {
      url: bareUrl(introspection.url),
      clientId: introspection.clientId,
      clientSecret: setOrNot(introspection.clientSecret),
      cacheMs: introspection.cacheMs,
    },
  };
}

function shownKeys(keys: KeyOrigin) {
  return keys.kind === "jwksUri" ? { kind: keys.kind, url: bareUrl(keys.url) } : keys;
}

function shownRoute(route: RouteConfig) {
  return {
    name: route.name,
    match: route.match,
    upstreams: route.upstreams.map(upstreamWord),
    stripPrefix: route.stripPrefix,
    addPrefix: route.addPrefix,
    issuers: route.issuers,
    login: route.login,
    crossSite: route.crossSite,
    credentials: route.credentials.map(placeWord),
    policies: route.policies.map(shownPolicy),
    anyAuthenticated: route.anyAuthenticated,
    public: route.public,
    identityHeaders: route.identityHeaders,
    forwardToken: route.forwardToken,
    assertion: route.assertion && {
      header: route.assertion.header,
      audience: route.assertion.audience,
      lifetimeMs: route.assertion.lifetimeMs,
      claims: route.assertion.claims,
    },
    requestHeaders: shownEdits(route.requestHeaders),
    responseHeaders: shownEdits(route.responseHeaders),
    preserveHost: route.preserveHost,
    timeoutMs: route.timeoutMs,
    ambiguousPaths: route.ambiguousPaths,
    rateLimit: route.rateLimit,
    streams: { ...route.streams },
  };
}

/** What a policy is told may be a secret, like any value of the configuration. */
function shownPolicy(ref: PolicyRef): unknown {
  switch (ref.kind) {
    case "policy": {
      const { name, options } = ref;
      if (typeof options !== "object" || options === null) return name;
      return { [name]: Object.fromEntries(Object.keys(options).map((key) => [key, SET])) };
    }
    case "all":
    case "any":
      return { [ref.kind]: ref.of.map(shownPolicy) };
    case "not":
    case "shadow":
      return { [ref.kind]: shownPolicy(ref.of) };
  }
}

/** Often the place of an upstream's API key. */
function shownEdits({ set, remove }: RouteConfig["requestHeaders"]) {
  return { set: Object.fromEntries(Object.keys(set).map((name) => [name, SET])), remove };
}

function placeWord(place: CredentialPlace): string {
  return "name" in place ? `${place.kind} ${place.name}` : place.kind;
}

function listenWord(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function setOrNot(secret: string | undefined): string | undefined {
  return secret === undefined ? undefined : SET;
}

/** Without user, password, query and fragment, in which keys are given. */
function bareUrl(text: string): string {
  const url = URL.parse(text);
  return url === null ? SET : `${url.protocol}//${url.host}${url.pathname}`;
}

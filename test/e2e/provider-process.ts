/**
 * A real OpenID provider (npm oidc-provider) as a process of its own, as it would run: it signs
 * and encrypts access tokens for the resource that a client names, and can be ended and
 * started again with the same keys or with others.
 *
 * Run by itself as a child: `bun provider-process.ts SETTINGS.json`
 *
 * @module
 */
import { createPublicKey } from "node:crypto";
import type { JWK } from "jose";
import { tempFolder } from "../support/temp-folder.ts";

/** How the access tokens for one audience are made. */
export type Resource = {
  readonly alg: "RS256" | "ES256";
  /** A random text that only the provider understands; a JWT where absent. */
  readonly format?: "opaque";
  readonly lifetimeSeconds?: number;
  /** Public key of the receiver; the tokens are then JWE around a JWS. */
  readonly encrypt?: { readonly alg: string; readonly enc: string; readonly jwk: JWK };
};

export type ProviderSettings = {
  readonly port: number;
  /** Private JWKs. */
  readonly keys: readonly JWK[];
  /** By audience. */
  readonly resources: Readonly<Record<string, Resource>>;
  /** For people: any name signs in with any password. */
  readonly signIn?: SignInSettings;
};

export type SignInSettings = {
  /** As oidc-provider has them, with `client_id` and `redirect_uris`. */
  readonly clients: readonly object[];
  /** Claims of people, by name; all of them in the ID token. */
  readonly people: Readonly<Record<string, object>>;
  /** Seconds, by kind: `IdToken`, `AccessToken`, … */
  readonly ttl?: Readonly<Record<string, number>>;
};

export type ProviderProcess = AsyncDisposable & {
  readonly issuer: string;
  /** An access token by client_credentials, scope `read`, subject `machine`. */
  readonly token: (audience: string) => Promise<string>;
  /** Takes a token back (RFC 7009). */
  readonly revoke: (token: string) => Promise<void>;
};

const CLIENT = { id: "machine", secret: "for-this-test-only" };
/** The one who may ask about tokens. */
export const RESOURCE_SERVER = { id: "gate:1", secret: "with:colon & more%" };
const START_LIMIT_MS = 15_000;

/** @throws Error when it does not start. */
export async function startProvider(settings: ProviderSettings): Promise<ProviderProcess> {
  const folder = await tempFolder({ "settings.json": JSON.stringify(settings) });
  const child = Bun.spawn([process.execPath, import.meta.path, `${folder.path}/settings.json`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    timeout: 5 * 60_000,
    killSignal: "SIGKILL",
  });
  const end = async () => {
    child.kill("SIGKILL");
    await child.exited;
    await folder[Symbol.asyncDispose]();
  };
  const first = await Promise.race([
    child.stdout.getReader().read(),
    Bun.sleep(START_LIMIT_MS).then(() => ({ value: undefined })),
  ]);
  if (first.value === undefined) {
    await end();
    throw new Error("Cannot start the provider");
  }
  const issuer = `http://127.0.0.1:${settings.port}`;
  return {
    issuer,
    token: (audience) => requestToken(issuer, audience),
    revoke: (token) => revokeToken(issuer, token),
    [Symbol.asyncDispose]: end,
  };
}

async function revokeToken(issuer: string, token: string): Promise<void> {
  const answer = await fetch(`${issuer}/token/revocation`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
    body: new URLSearchParams({ token }),
  });
  if (answer.status !== 200) throw new Error(`Cannot revoke a token: ${answer.status}`);
}

async function requestToken(issuer: string, audience: string): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
    body: new URLSearchParams({
      grant_type: "client_credentials",
      resource: audience,
      scope: "read",
    }),
  });
  const body = (await answer.json()) as { access_token?: string };
  if (body.access_token === undefined) {
    throw new Error(`Cannot get a token: ${answer.status} ${JSON.stringify(body)}`);
  }
  return body.access_token;
}

function configuration({ keys, resources, signIn }: ProviderSettings): object {
  return {
    ...(signIn && signInConfiguration(signIn)),
    clients: [
      ...(signIn?.clients ?? []),
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: RESOURCE_SERVER.id,
        client_secret: RESOURCE_SERVER.secret,
        grant_types: [],
        redirect_uris: [],
        response_types: [],
      },
    ],
    jwks: { keys },
    scopes: ["read", "openid", "offline_access"],
    features: {
      devInteractions: { enabled: signIn !== undefined },
      backchannelLogout: { enabled: signIn !== undefined },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: signIn !== undefined },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_context: unknown, audience: string) {
          const resource = resources[audience];
          if (resource === undefined) throw new Error(`No such resource: ${audience}`);
          const { alg, format, lifetimeSeconds = 600, encrypt } = resource;
          const common = { scope: "read", audience, accessTokenTTL: lifetimeSeconds };
          if (format === "opaque") return { ...common, accessTokenFormat: format };
          return {
            ...common,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg }, ...(encrypt && { encrypt: receiver(encrypt) }) },
          };
        },
      },
    },
  };
}

function signInConfiguration({ people, ttl = {} }: SignInSettings): object {
  const names = new Set(Object.values(people).flatMap((person) => Object.keys(person)));
  return {
    claims: { openid: ["sub", ...names] },
    conformIdTokenClaims: false,
    cookies: { keys: ["for-this-test-only"] },
    pkce: { required: () => true },
    ttl: { IdToken: 3_600, AccessToken: 3_600, RefreshToken: 86_400, ...ttl },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, ...people[id] }),
    }),
  };
}

function receiver({ alg, enc, jwk }: NonNullable<Resource["encrypt"]>): object {
  const key = createPublicKey({ key: jwk as Record<string, unknown>, format: "jwk" });
  return { alg, enc, key, ...(jwk.kid !== undefined && { kid: jwk.kid }) };
}

if (import.meta.main) {
  const settings = (await Bun.file(process.argv[2] ?? "").json()) as ProviderSettings;
  // Loaded here alone: it is heavy, and the test's own process needs none of it.
  const { default: Provider } = await import("oidc-provider");
  const provider = new Provider(`http://127.0.0.1:${settings.port}`, configuration(settings));
  provider.on("server_error", (_context, error) => console.error(error));
  provider.listen(settings.port, "127.0.0.1", () => console.log("ready"));
}

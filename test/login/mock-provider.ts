/**
 * oauth2-mock-server as a provider that tests can make say anything, right or wrong.
 *
 * @module
 */
import { CompactSign, importJWK, type JWK } from "jose";
import { Events, OAuth2Server } from "oauth2-mock-server";

export type TokenRequest = Readonly<Record<string, string>>;

export type MockProvider = AsyncDisposable & {
  readonly issuer: string;
  /** Laid over the ID token's claims; a function sees those, and the request. */
  claims: object | ((claims: Record<string, unknown>, request: TokenRequest) => object);
  /** Laid over the answer of the token endpoint. */
  answer: object;
  /** Instead of the answer of the token endpoint. */
  failure: { readonly status: number; readonly body: object } | undefined;
  userInfo: object;
  /** Makes the ID token of claims; by the provider's own key where absent. */
  sign: ((claims: object) => Promise<string> | string) | undefined;
  /** Changes where the browser is sent back to. */
  redirect: ((url: URL) => void) | undefined;
  /** All requests to the token endpoint. */
  readonly tokenRequests: TokenRequest[];
  /** Of those requests, the `Authorization` field. */
  readonly authorizations: (string | undefined)[];
  /** A JWT by the provider's key. */
  readonly jwt: (claims: object, header?: object) => Promise<string>;
  /** Stops answering; `start` begins again at the same address. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
};

/** @param metadata Laid over the discovery document. */
export async function startMockProvider(metadata: object = {}): Promise<MockProvider> {
  const server = new OAuth2Server();
  const key = await server.issuer.keys.generate("RS256");
  await server.start(0, "127.0.0.1");
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  server.issuer.url = issuer;

  const provider: MockProvider = {
    issuer,
    claims: {},
    answer: {},
    failure: undefined,
    userInfo: {},
    sign: undefined,
    redirect: undefined,
    tokenRequests: [],
    authorizations: [],
    jwt: (claims, header = {}) => signJwt(key, claims, header),
    stop: () => server.stop(),
    async start() {
      await server.start(port, "127.0.0.1");
      server.issuer.url = issuer;
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };

  server.service.on(Events.BeforeWellKnownOpenIdConfiguration, (response) => {
    Object.assign(response.body, metadata);
  });
  server.service.on(Events.BeforeAuthorizeRedirect, ({ url }) => provider.redirect?.(url));
  server.service.on(Events.BeforeUserinfo, (response) => {
    response.body = { sub: "alice", ...provider.userInfo };
  });
  server.service.on(Events.BeforeTokenSigning, (token, request) => {
    if (!("nonce" in token.payload) && token.payload.aud === undefined) return;
    const body = request.body as unknown as TokenRequest;
    Object.assign(token.payload, { sub: "alice", sid: "sid-1" });
    const { claims } = provider;
    const more = typeof claims === "function" ? claims(token.payload, body) : claims;
    for (const [name, value] of Object.entries(more)) {
      if (value === undefined) delete token.payload[name];
      else token.payload[name] = value;
    }
  });
  server.service.on(Events.BeforeResponse, (response, request) => {
    provider.tokenRequests.push(request.body as unknown as TokenRequest);
    provider.authorizations.push(request.headers.authorization);
    if (provider.failure !== undefined) {
      response.statusCode = provider.failure.status;
      response.body = provider.failure.body as typeof response.body;
      return;
    }
    Object.assign(response.body as object, provider.answer);
  });
  return provider;
}

async function signJwt(key: JWK, claims: object, header: object): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(claims));
  const sign = new CompactSign(text).setProtectedHeader({
    alg: "RS256",
    kid: String(key.kid),
    ...header,
  });
  return sign.sign(await importJWK(key, "RS256"));
}

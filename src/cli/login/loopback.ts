/**
 * Signing in with the browser of this machine: the provider sends it back to a port of 127.0.0.1
 * that is ours for that long (RFC 8252 §7.3), with PKCE.
 *
 * @module
 */
import * as oauth from "oauth4webapi";
import { GateError } from "../../errors.ts";
import { checkKeyUrl } from "../../identity/fetch-json.ts";
import { asking, type CliProvider, readTokens, type Tokens } from "./provider.ts";

export type Wish = {
  readonly scopes: readonly string[];
  /** RFC 8707: whom the access token is for. */
  readonly resources: readonly string[];
  /** The same, as Auth0 and a few others want it. */
  readonly audience?: string | undefined;
};

const LIMIT_MS = 5 * 60_000;
const PATH = "/callback";

/**
 * @param show Told the address that the person is to open.
 * @throws GateError `config_invalid` when the provider refuses, or nobody comes back in time.
 */
export async function signInByBrowser(
  provider: CliProvider,
  wish: Wish,
  show: (address: string) => void,
): Promise<Tokens> {
  const { server, client, options } = provider;
  const state = oauth.generateRandomState();
  const nonce = wish.scopes.includes("openid") ? oauth.generateRandomNonce() : undefined;
  const verifier = oauth.generateRandomCodeVerifier();
  const come = Promise.withResolvers<URL>();
  using listener = listen(state, come.resolve);
  const redirectUri = `http://127.0.0.1:${listener.port}${PATH}`;
  const address = await authorizationAddress(provider, wish, {
    redirect_uri: redirectUri,
    state,
    ...(nonce !== undefined && { nonce }),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  });
  show(address);
  const timer = setTimeout(() => come.reject(TOO_LATE), LIMIT_MS);
  try {
    const callback = await come.promise;
    return await asking(server.issuer, async () => {
      const checked = oauth.validateAuthResponse(server, client, callback, state);
      const auth = oauth.None();
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        auth,
        checked,
        redirectUri,
        verifier,
        { ...options, additionalParameters: targetsOf(wish) },
      );
      const answer = await oauth.processAuthorizationCodeResponse(server, client, response, {
        ...(nonce !== undefined && { expectedNonce: nonce, requireIdToken: true }),
      });
      return readTokens(provider, answer, response, wish.scopes);
    });
  } finally {
    clearTimeout(timer);
  }
}

const TOO_LATE = new GateError("config_invalid", "nobody has signed in within five minutes");

async function authorizationAddress(
  { server, client }: CliProvider,
  wish: Wish,
  ours: Readonly<Record<string, string>>,
): Promise<string> {
  const endpoint = server.authorization_endpoint ?? "";
  if (checkKeyUrl(endpoint, server.issuer) !== undefined) {
    const message = `${server.issuer} names no page where people sign in: try --device`;
    throw new GateError("config_invalid", message);
  }
  const url = new URL(endpoint);
  const parameters = {
    client_id: client.client_id,
    response_type: "code",
    scope: wish.scopes.join(" "),
    code_challenge_method: "S256",
    ...ours,
    // OpenID Connect Core §11: without asking for consent there is no refresh token.
    ...(wish.scopes.includes("offline_access") && { prompt: "consent" }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  for (const [name, value] of targetsOf(wish)) url.searchParams.append(name, value);
  return url.href;
}

/** Whom the token is to be for. */
export function targetsOf({ resources, audience }: Wish): [string, string][] {
  return [
    ...resources.map((resource): [string, string] => ["resource", resource]),
    ...(audience === undefined ? [] : [["audience", audience] satisfies [string, string]]),
  ];
}

/** Answers to the browser that brings our own state, once; all else on this machine is nobody. */
function listen(state: string, onCallback: (url: URL) => void): Disposable & { port: number } {
  let isDone = false;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const url = new URL(request.url);
      const isOurs = url.pathname === PATH && url.searchParams.get("state") === state;
      if (request.method !== "GET" || !isOurs || isDone) {
        return new Response("Nothing is here\n", { status: 404 });
      }
      isDone = true;
      onCallback(url);
      return new Response(CLOSE_PAGE, { headers: PAGE_HEADERS });
    },
  });
  return {
    port: server.port ?? 0,
    // What is being answered is answered.
    [Symbol.dispose]: () => void server.stop(),
  };
}

const PAGE_HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
  Connection: "close",
};

const CLOSE_PAGE = `<!doctype html>
<html lang="en">
<meta name="viewport" content="width=device-width">
<title>Back to your terminal</title>
<style>:root { color-scheme: light dark; font: 1.1rem system-ui } body { margin: 20vh auto; max-width: 30rem; padding: 1rem }</style>
<h1>Back to your terminal</h1>
<p>It says whether you are signed in. You can close this page.</p>
</html>
`;

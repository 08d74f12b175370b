/**
 * Signing in on another device, for a terminal without a browser (RFC 8628).
 *
 * @module
 */
import * as oauth from "oauth4webapi";
import { GateError } from "../../errors.ts";
import { checkKeyUrl } from "../../identity/fetch-json.ts";
import { targetsOf, type Wish } from "./loopback.ts";
import { asking, type CliProvider, readTokens, type Tokens } from "./provider.ts";

/** RFC 8628 §3.2 and §3.5. */
const INTERVAL_SECONDS = 5;
const SLOWER_SECONDS = 5;

/**
 * @param show Told where to go and the code to enter there.
 * @throws GateError `config_invalid` when the provider refuses, or nobody signs in in time.
 */
export async function signInByDevice(
  provider: CliProvider,
  wish: Wish,
  show: (address: string, code: string) => void,
): Promise<Tokens> {
  const { server, client, options } = provider;
  if (server.device_authorization_endpoint === undefined) {
    const message = `${server.issuer} has no sign-in by device code: leave --device out`;
    throw new GateError("config_invalid", message);
  }
  const begun = await asking(server.issuer, async () => {
    const parameters = [["scope", wish.scopes.join(" ")], ...targetsOf(wish)];
    const auth = oauth.None();
    const response = await oauth.deviceAuthorizationRequest(
      server,
      client,
      auth,
      parameters,
      options,
    );
    const answer = await oauth.processDeviceAuthorizationResponse(server, client, response);
    if (checkKeyUrl(answer.verification_uri, server.issuer) === undefined) return answer;
    throw new GateError("keys_refused", "the page for the code is no address that is safe");
  });
  show(begun.verification_uri, begun.user_code);

  const endsMs = Date.now() + begun.expires_in * 1_000;
  let seconds = begun.interval ?? INTERVAL_SECONDS;
  while (Date.now() < endsMs) {
    await Bun.sleep(seconds * 1_000);
    const tokens = await asking(server.issuer, () => ask(provider, wish, begun.device_code));
    if (tokens === "expired") break;
    if (tokens === "slower") seconds += SLOWER_SECONDS;
    else if (tokens !== "later") return tokens;
  }
  throw new GateError("config_invalid", "the code has expired before anybody signed in");
}

async function ask(
  provider: CliProvider,
  wish: Wish,
  deviceCode: string,
): Promise<Tokens | "later" | "slower" | "expired"> {
  const { server, client, options } = provider;
  const response = await oauth.deviceCodeGrantRequest(server, client, oauth.None(), deviceCode, {
    ...options,
    additionalParameters: targetsOf(wish),
  });
  try {
    const answer = await oauth.processDeviceCodeResponse(server, client, response);
    return await readTokens(provider, answer, response, wish.scopes);
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError)) throw error;
    if (error.error === "authorization_pending") return "later";
    if (error.error === "slow_down") return "slower";
    if (error.error === "expired_token") return "expired";
    throw error;
  }
}

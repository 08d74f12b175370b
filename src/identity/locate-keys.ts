/**
 * Where an issuer publishes its keys: OpenID Connect Discovery 1.0 §4, then RFC 8414 §3.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import { checkKeyUrl } from "./fetch-json.ts";
import { isObject, own } from "./strict-json.ts";

/**
 * @param issuer As configured: the document must name it byte for byte.
 * @param get Fetches a document; throws `keys_refused` for an answer that is not taken.
 * @returns The `jwks_uri`.
 * @throws GateError `keys_refused` or `keys_unavailable`.
 */
export async function locateKeys(
  issuer: string,
  get: (url: string) => Promise<unknown>,
): Promise<string> {
  const complaint = checkKeyUrl(issuer);
  if (complaint !== undefined) throw new GateError("keys_refused", `the issuer is ${complaint}`);
  const [openid, oauth] = discoveryUrls(issuer);
  try {
    return readDocument(await get(openid), issuer);
  } catch (error) {
    // Only an answer is a reason to ask under the other name: a host that is down stays down.
    if (!(error instanceof GateError) || error.code !== "keys_refused") throw error;
    try {
      return readDocument(await get(oauth), issuer);
    } catch (second) {
      const why = second instanceof GateError ? second.message : "failed";
      throw new GateError("keys_refused", `discovery: OpenID ${error.message}; RFC 8414 ${why}`);
    }
  }
}

/** OpenID's name is appended to the issuer, RFC 8414's put between host and path. */
function discoveryUrls(issuer: string): readonly [openid: string, oauth: string] {
  const base = issuer.replace(/\/$/, "");
  const { origin, pathname } = new URL(base);
  const path = pathname === "/" ? "" : pathname;
  return [
    `${base}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

function readDocument(document: unknown, issuer: string): string {
  const { named, url } = isObject(document)
    ? { named: own(document, "issuer"), url: own(document, "jwks_uri") }
    : { named: undefined, url: undefined };
  if (named !== issuer) throw new GateError("keys_refused", "names another issuer");
  if (typeof url !== "string") throw new GateError("keys_refused", "has no jwks_uri");
  const complaint = checkKeyUrl(url, issuer);
  if (complaint !== undefined) throw new GateError("keys_refused", `its jwks_uri is ${complaint}`);
  return url;
}

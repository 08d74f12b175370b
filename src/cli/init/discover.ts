/**
 * Asks an issuer for its exact name, so that the owner need not know it by heart.
 *
 * @module
 */
import { GateError } from "../../errors.ts";
import { checkKeyUrl, FETCH_LIMITS, type Fetch, fetchJson } from "../../identity/fetch-json.ts";
import { isObject, own } from "../../identity/strict-json.ts";
import { err, ok, type Result } from "../../result.ts";
import { visible } from "../paint.ts";

/** OpenID Connect Discovery §4, then RFC 8414 §3 with the path behind. */
const OPENID = "/.well-known/openid-configuration";
const OAUTH = "/.well-known/oauth-authorization-server";

/** Of a stranger's text in a message of ours. */
const LONGEST_SHOWN = 200;

/**
 * @param written What the owner typed: the issuer, with or without a final slash, or the
 *   address of its discovery document.
 * @returns The issuer exactly as its tokens have it in `iss`.
 * @throws GateError `usage_wrong` for what is no address of an issuer; `config_invalid` when
 *   no discovery document is there, or it is another issuer's.
 */
export async function discoverIssuer(written: string, fetch: Fetch): Promise<string> {
  const base = readAddress(written);
  const { origin, pathname } = new URL(base);
  const tail = pathname === "/" ? "" : pathname;
  const failures: string[] = [];
  for (const address of [`${base}${OPENID}`, `${origin}${OAUTH}${tail}`]) {
    const found = await readIssuer(address, fetch);
    if (found.ok) return checkedIssuer(found.value, base, address);
    failures.push(`${address}: ${found.error.message}`);
    // Only an answer is a reason to ask under the other name: a host that is down stays down.
    if (found.error.code !== "keys_refused") break;
  }
  const message = `cannot read the issuer's discovery document; is the address right? (${failures.join("; ")})`;
  throw new GateError("config_invalid", message);
}

/** A document may name its issuer with a final slash that nobody typed, and nothing else. */
function checkedIssuer(issuer: string, base: string, address: string): string {
  if (withoutSlash(issuer) === base) return issuer;
  const shown = visible(issuer).slice(0, LONGEST_SHOWN);
  const message = `${address} is the document of ${shown}; if that is the one you mean, give --issuer exactly so`;
  throw new GateError("config_invalid", message);
}

function readAddress(written: string): string {
  const complaint = checkKeyUrl(written);
  const url = URL.parse(written);
  if (complaint !== undefined || url === null) {
    const message = `--issuer is ${complaint ?? "not an address"}: write it like https://id.example.com`;
    throw new GateError("usage_wrong", message);
  }
  if (url.search !== "" || url.hash !== "") {
    throw new GateError("usage_wrong", "--issuer takes an address without query or fragment");
  }
  const path = url.pathname.replace(OPENID, "").replace(OAUTH, "");
  return withoutSlash(`${url.origin}${path}`);
}

async function readIssuer(address: string, fetch: Fetch): Promise<Result<string, GateError>> {
  try {
    const document = await fetchJson(address, fetch, new AbortController().signal, FETCH_LIMITS);
    const issuer = isObject(document) ? own(document, "issuer") : undefined;
    return typeof issuer === "string" && URL.canParse(issuer)
      ? ok(issuer)
      : err(new GateError("keys_refused", "names no issuer"));
  } catch (fault) {
    if (!(fault instanceof GateError)) throw fault;
    return err(fault);
  }
}

function withoutSlash(address: string): string {
  return address.replace(/\/$/u, "");
}

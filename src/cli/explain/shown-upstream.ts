/**
 * What the upstream would get, fit to be looked at: no credential is in it.
 *
 * @module
 */
import type { Outbound } from "../../gate/outbound.ts";
import type { ExplainedUpstream } from "./explanation.ts";

const HIDDEN = "(not shown)";
/** May hold credentials of the application's own. */
const SECRET_HEADERS: ReadonlySet<string> = new Set(["authorization", "cookie"]);
const REQUEST_ID = "x-request-id";

/** @param credential What the request carries, where something was found. */
export function shownUpstream(
  method: string,
  { target, headers }: Outbound,
  credential: string | undefined,
): ExplainedUpstream {
  const hide = (text: string) =>
    credential === undefined || credential === "" ? text : text.replaceAll(credential, HIDDEN);
  const shown: [string, string][] = [];
  headers.forEach((value, name) => {
    if (name === REQUEST_ID) shown.push([name, "(new for each request)"]);
    else if (SECRET_HEADERS.has(name)) shown.push([name, HIDDEN]);
    else shown.push([name, hide(decoded(value))]);
  });
  return { method, target: hide(target), headers: Object.fromEntries(shown) };
}

/** Header values are bytes, one code unit each; identity goes as UTF-8. */
function decoded(value: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(value, "latin1"));
  } catch {
    return value; // a client's own header in another encoding
  }
}

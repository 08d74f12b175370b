/**
 * The headers that a route sets or removes. Names that frame a message, say who is calling,
 * or are the gate's own are not for routes to touch.
 *
 * @module
 */
import type { Reading } from "./report.ts";
import type { HeaderEdits, YamlPath } from "./resolved.ts";
import type { HeaderEditsContent, RouteContent } from "./schema.ts";

/** A field name: RFC 9110 §5.6.2 `token`. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** RFC 9110 §5.5 without its obsolete forms; empty is allowed, white space at the ends is not. */
const VALUE = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

/** Meant for one connection, or framing the message: fetch and the server write these. */
const CONNECTION: ReadonlySet<string> = new Set(
  "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade content-length expect".split(
    " ",
  ),
);
/** What the gate says of a request itself (design, section 7); a route's word would be taken for it. */
const GATE_REQUEST: ReadonlySet<string> = new Set(
  "host forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip x-request-id".split(
    " ",
  ),
);
const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie"]);
/** On every answer of the gate, always its own. */
const GATE_RESPONSE: ReadonlySet<string> = new Set(["x-request-id"]);

export function isHeaderName(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether a credential may be read from this header, and the header then be removed. */
export function isCredentialHeader(text: string): boolean {
  const name = lookAlike(text);
  return !CONNECTION.has(name) && !GATE_REQUEST.has(name) && !CREDENTIALS.has(name);
}

/** Many servers take `X_User` and `x-user` for one header, some `X.User`, too. */
export function lookAlike(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
}

/** @returns Header as written: claim. */
export function readIdentityHeaders(
  content: RouteContent,
  path: YamlPath,
  { report }: Reading,
): Readonly<Record<string, string>> {
  const at = [...path, "identityHeaders"];
  const forbidden = [CONNECTION, GATE_REQUEST, CREDENTIALS];
  const headers: Record<string, string> = {};
  for (const [name, claim] of Object.entries(content.identityHeaders ?? {})) {
    checkName(name, forbidden, (problem) => report.atKey([...at, name], problem));
    if (claim === "") {
      const fix = `write the claim's name, for example ${name}: sub`;
      report.at([...at, name], { code: "value_invalid", message: `${name} names no claim`, fix });
    }
    if (claim !== undefined) headers[name] = claim;
  }
  refuseLookAlikes(Object.keys(headers), at, report);
  return headers;
}

/** The header of `assertion`: one that the route can set, and that is nothing else of its own. */
export function checkAssertionHeader(
  content: RouteContent,
  path: YamlPath,
  { report }: Reading,
): void {
  const name = content.assertion?.header ?? "";
  const at = [...path, "assertion", "header"];
  checkName(name, [CONNECTION, GATE_REQUEST, CREDENTIALS], (problem) => report.at(at, problem));
  const twin = Object.keys(content.identityHeaders ?? {}).find(
    (other) => lookAlike(other) === lookAlike(name),
  );
  if (twin === undefined) return;
  report.at(at, {
    code: "header_conflict",
    message: `${name} is the identity header ${twin}`,
    fix: "choose another name, for example X-Claimgate-Assertion",
  });
}

export function readRequestHeaders(
  content: RouteContent,
  path: YamlPath,
  reading: Reading,
): HeaderEdits {
  const at = [...path, "requestHeaders"];
  // A fixed `Authorization` for the upstream is common; beside a forwarded token it would replace that.
  const credentials = content.forwardToken === true ? CREDENTIALS : new Set(["cookie"]);
  const edits = readEdits(content.requestHeaders, at, reading, {
    set: [CONNECTION, GATE_REQUEST, credentials],
    remove: [CONNECTION, GATE_REQUEST],
  });
  const identity = new Map(
    Object.keys(content.identityHeaders ?? {}).map((name) => [
      lookAlike(name),
      `the identity header ${name}`,
    ]),
  );
  const asserted = content.assertion?.header;
  if (asserted !== undefined) identity.set(lookAlike(asserted), "the header of assertion");
  const written = [
    ...Object.keys(edits.set).map((name) => [name, [...at, "set", name]] as const),
    ...edits.remove.map((name, index) => [name, [...at, "remove", index]] as const),
  ];
  for (const [name, place] of written) {
    const other = identity.get(lookAlike(name));
    if (other === undefined) continue;
    reading.report.atKey(place, {
      code: "header_conflict",
      message: `${name} is ${other}`,
      fix: "keep it in one of the two places",
    });
  }
  return edits;
}

export function readResponseHeaders(
  content: RouteContent,
  path: YamlPath,
  reading: Reading,
): HeaderEdits {
  const forbidden = [CONNECTION, GATE_RESPONSE];
  return readEdits(content.responseHeaders, [...path, "responseHeaders"], reading, {
    set: forbidden,
    remove: forbidden,
  });
}

type Forbidden = readonly ReadonlySet<string>[];

function readEdits(
  content: HeaderEditsContent | undefined,
  path: YamlPath,
  { report }: Reading,
  forbidden: { readonly set: Forbidden; readonly remove: Forbidden },
): HeaderEdits {
  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(content?.set ?? {})) {
    const at = [...path, "set", name];
    checkName(name, forbidden.set, (problem) => report.atKey(at, problem));
    if (value === undefined) continue;
    set[name] = value;
    if (VALUE.test(value)) continue;
    report.at(at, {
      code: "header_value_invalid",
      message: `the value of ${name} holds control characters, white space at its ends, or characters outside ASCII`,
      fix: "write plain ASCII on one line",
    });
  }
  refuseLookAlikes(Object.keys(set), [...path, "set"], report);

  const remove: string[] = [];
  for (const [index, name] of (content?.remove ?? []).entries()) {
    if (name === undefined) continue;
    const at = [...path, "remove", index];
    checkName(name, forbidden.remove, (problem) => report.at(at, problem));
    remove.push(name);
    const contradicts = Object.keys(set).some((other) => lookAlike(other) === lookAlike(name));
    if (!contradicts) continue;
    const fix = "keep it in one of the two: set replaces what is there";
    report.at(at, { code: "header_conflict", message: `${name} is both set and removed`, fix });
  }
  return { set, remove };
}

function checkName(
  name: string,
  forbidden: Forbidden,
  refuse: (problem: { code: string; message: string; fix: string }) => void,
): void {
  if (!isHeaderName(name)) {
    const fix = "use letters, digits and -";
    refuse({ code: "header_name_invalid", message: "not a header name (RFC 9110)", fix });
  } else if (forbidden.some((names) => names.has(lookAlike(name)))) {
    const message = `${name} is not for a route to set or remove here`;
    const fix = lookAlike(name) === "host" ? "use preserveHost" : "remove it";
    refuse({ code: "header_forbidden", message, fix });
  }
}

function refuseLookAlikes(
  names: readonly string[],
  path: YamlPath,
  report: Reading["report"],
): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const twin = seen.get(lookAlike(name));
    if (twin === undefined) {
      seen.set(lookAlike(name), name);
      continue;
    }
    report.atKey([...path, name], {
      code: "header_duplicate",
      message: `${name} and ${twin} are one header to many servers`,
      fix: "keep one of the two",
    });
  }
}

/**
 * Runs the cases of policies through the very evaluation that requests go through, with a
 * token and a request made up from what the case says.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import { byteString } from "../lib/byte-string.ts";
import { canonicalAddress } from "../lib/cidr.ts";
import { readDevice } from "../lib/device.ts";
import type { Claims, Inquiry, Token } from "../types.ts";
import { openCache } from "./cache.ts";
import { historyOfCase } from "./case-history.ts";
import type { Leaf, Program } from "./compose.ts";
import type { Expectation, PolicyCase } from "./definition.ts";
import { displayPath } from "./display-path.ts";
import { evaluate } from "./evaluate.ts";
import type { Question } from "./input.ts";
import type { LoadedPolicy, PolicySet } from "./load.ts";
import { placeOfText, stackPlaces } from "./load-findings.ts";
import { resolveOptions } from "./options.ts";
import type { Verdict } from "./verdict.ts";

export type CaseResult = {
  readonly policy: string;
  readonly name: string;
  readonly ok: boolean;
  /** `allow`, `deny CODE`, `challenge`, `fault`, or `allow` with headers. */
  readonly expected: string;
  readonly actual: string;
  /** The policy's file. */
  readonly file: string;
  /** Where the case is, as far as its name can be found in the text. */
  readonly line: number;
  readonly ms: number;
};

type Case = PolicyCase<TSchema, TSchema>;

/** A Monday at noon; the same on every run. */
const DEFAULT_NOW = "2026-01-05T12:00:00Z";

type CaseOptions = {
  readonly timeoutMs: number;
  /** Picks policies; without it, all of them. */
  readonly names?: ReadonlySet<string>;
  /** Told the names of headers that a policy set, whatever its case expects. */
  readonly onHeaders?: (names: readonly string[]) => void;
};

/** Runs cases one after another, policies in order of name. */
export async function runCases(
  set: PolicySet,
  options: CaseOptions,
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  const chosen = [...set.policies.values()]
    .filter(({ name }) => options.names?.has(name) ?? true)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const policy of chosen) {
    const seen = new Map<string, number>();
    for (const one of policy.cases) {
      const nth = seen.get(one.name) ?? 0;
      seen.set(one.name, nth + 1);
      const began = performance.now();
      const expected = described(one.expect);
      const actual = await outcomeOf(one, policy, set, options.timeoutMs);
      options.onHeaders?.(Object.keys(actual.headers ?? {}));
      results.push({
        policy: policy.name,
        name: one.name,
        ok: fits(one.expect, actual),
        expected,
        actual: actual.text,
        file: policy.file,
        line: lineOf(policy.source, one.name, nth),
        ms: performance.now() - began,
      });
    }
  }
  return results;
}

/** A verdict, or why there is none: `invalid` is a case that cannot be run. */
type Outcome = { readonly kind: Verdict["kind"] | "invalid"; readonly text: string } & {
  readonly headers?: Readonly<Record<string, string>>;
};

async function outcomeOf(
  one: Case,
  policy: LoadedPolicy,
  set: PolicySet,
  timeoutMs: number,
): Promise<Outcome> {
  const options = resolveOptions(policy, one.options);
  if (!options.ok) {
    return { kind: "invalid", text: options.error.map(({ message }) => message).join("; ") };
  }
  let question: Question;
  try {
    question = questionOf(one);
  } catch (error) {
    const why = error instanceof Error ? error.message : "it cannot be read";
    return { kind: "invalid", text: `the case cannot be run: ${why}` };
  }
  const { verdict } = await evaluate(programOf(policy, options.value, set), question, timeoutMs);
  switch (verdict.kind) {
    case "allow":
      return { kind: "allow", text: withHeaders(verdict.headers), headers: verdict.headers };
    case "deny":
      return { kind: "deny", text: `deny ${verdict.code}` };
    case "challenge":
      return { kind: "challenge", text: "challenge" };
    case "fault":
      return { kind: "fault", text: faultText(verdict) };
  }
}

/** With the place of an error, which the policy's author has to mend. */
function faultText({ code, detail, stack }: Extract<Verdict, { kind: "fault" }>): string {
  const [place] = stackPlaces(stack);
  if (place === undefined) return `fault (${code}: ${detail})`;
  const { file, line, column } = place;
  return `fault (${code} at ${displayPath(file)}:${line}:${column}: ${detail})`;
}

function programOf(policy: LoadedPolicy, options: unknown, set: PolicySet): Program {
  const leaf: Leaf = {
    kind: "policy",
    index: 0,
    policy,
    options,
    shadow: false,
    notes: true,
    neutral: false,
  };
  return {
    root: leaf,
    leaves: [leaf],
    set,
    declaredClaims: [],
    claimNames: [],
    headerNames: [],
    fits: new WeakMap(),
  };
}

/** @throws If the case names a time or an address that is none. */
function questionOf(one: Case): Question {
  const nowMs = timeOf(one.now ?? DEFAULT_NOW);
  const inquiry = inquiryOf(one, nowMs);
  const { fetch: answer, secrets } = one;
  const past = one.history && historyOfCase(one.history, nowMs);
  return {
    token: tokenOf(one, nowMs),
    inquiry,
    route: "case",
    isMadeUp: true,
    cache: openCache(),
    fetch: async (url, init) => {
      if (answer === undefined) throw new Error("a case has no network: give it a fetch");
      return await answer(url, init);
    },
    ...(past && { history: async () => past }),
    ...(secrets && {
      secret: (name: string) => {
        const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
        if (value === undefined) throw new Error(`secret ${name} is not set`);
        return value;
      },
    }),
  };
}

function tokenOf(one: Case, nowMs: number): Token {
  const now = Math.floor(nowMs / 1_000);
  const wanted = one.token ?? {};
  const given: Claims = one.claims ?? {};
  const { sub = "alice", scopes } = given;
  const issuedAt = "issuedAt" in wanted ? secondsOf(wanted.issuedAt) : now - 60;
  const id = wanted.id;
  const token = {
    issuer: wanted.issuer ?? "https://issuer.example",
    issuerName: "case",
    subject: wanted.subject ?? String(sub),
    audience: wanted.audience ?? ["https://app.example"],
    expiresAt: secondsOf(wanted.expiresAt) ?? now + 3_600,
    scopes: wanted.scopes ?? (Array.isArray(scopes) ? scopes.map(String) : []),
    ...(issuedAt !== undefined && { issuedAt }),
    ...(id !== undefined && { id }),
  };
  const standard = {
    iss: token.issuer,
    sub: token.subject,
    aud: token.audience,
    exp: token.expiresAt,
    ...(issuedAt !== undefined && { iat: issuedAt }),
    ...(id !== undefined && { jti: id }),
    ...(token.scopes.length > 0 && { scopes: token.scopes }),
  };
  // A copy: claims are frozen, and a case may share its own with others.
  return { ...token, claims: structuredClone({ ...standard, ...given }) };
}

function inquiryOf({ request = {}, client = {} }: Case, nowMs: number): Inquiry {
  const url = new URL(request.url ?? "/", "https://app.example/");
  if (request.host !== undefined) url.host = request.host;
  if (request.path !== undefined) url.pathname = request.path;
  const headers = new Headers(request.headers);
  const ip = client.ip ?? "192.0.2.1";
  const canonicalIp = ip === "unix" ? ip : canonicalAddress(ip);
  if (canonicalIp === undefined) throw new RangeError("client.ip is no address");
  return {
    id: "00000000-0000-7000-8000-000000000000",
    method: request.method ?? "GET",
    scheme: url.protocol === "http:" ? "http" : "https",
    host: url.hostname.replace(/\.$/, ""),
    authority: url.host,
    path: url.pathname,
    query: url.search,
    headers,
    client: {
      ip: canonicalIp,
      country: client.country,
      location: client.location,
      device: { ...readDevice(headers), ...client.device },
    },
    nowMs,
  };
}

function timeOf(time: string | Date): number {
  const ms = new Date(time).getTime();
  if (Number.isNaN(ms)) throw new RangeError("now is no time: write it like 2026-01-05T12:00:00Z");
  return ms;
}

function secondsOf(time: Date | undefined): number | undefined {
  return time === undefined ? undefined : timeOf(time) / 1_000;
}

function described(expectation: Expectation): string {
  if (typeof expectation === "string") return expectation;
  return withHeaders(expectation?.allow?.headers ?? {});
}

function withHeaders(headers: Readonly<Record<string, string>>): string {
  const names = Object.keys(headers);
  return names.length === 0 ? "allow" : `allow with ${JSON.stringify(headers)}`;
}

function fits(expectation: Expectation, actual: Outcome): boolean {
  if (typeof expectation === "string") {
    // Headers are only compared where a case names them.
    return expectation === (actual.kind === "deny" ? actual.text : actual.kind);
  }
  const wanted = expectation?.allow?.headers;
  if (wanted === undefined || actual.headers === undefined) return false;
  return Bun.deepEquals(
    comparable(wanted, byteString),
    comparable(actual.headers, (value) => value),
  );
}

function comparable(
  headers: Readonly<Record<string, string>>,
  read: (value: string) => string,
): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), read(value)]);
  return Object.fromEntries(entries);
}

/** The line of the nth case of that name; of the list of cases if the name is put together. */
function lineOf(source: string, name: string, nth: number): number {
  const quoted = JSON.stringify(name).slice(1, -1);
  const written = [`"${quoted}"`, `'${quoted}'`, `\`${quoted}\``];
  let rest = 0;
  for (let skipped = 0; skipped < nth; skipped++) {
    const next = firstOf(source, written, rest);
    if (next === undefined) break;
    rest = next + 1;
  }
  const at = firstOf(source, written, rest);
  if (at !== undefined) return source.slice(0, at).split("\n").length;
  return placeOfText(source, ["cases:", "cases"]).line;
}

function firstOf(source: string, texts: readonly string[], from: number): number | undefined {
  const found = texts.map((text) => source.indexOf(text, from)).filter((index) => index >= 0);
  return found.length === 0 ? undefined : Math.min(...found);
}

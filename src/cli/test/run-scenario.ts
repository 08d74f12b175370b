/**
 * Brings a scenario before the gate's own rules: the issuer is made up, and so is whatever a
 * policy may ask for. Nothing goes over the network.
 *
 * @module
 */
import type { RouteConfig } from "../../config/resolved.ts";
import type { Assembly } from "../../gate/assemble.ts";
import { makeRules } from "../../gate/rules.ts";
import type { Rules } from "../../gate/site.ts";
import { type JsonObject, own } from "../../identity/strict-json.ts";
import type { Verifier } from "../../identity/verify.ts";
import { claimAt } from "../../lib/claim-at.ts";
import { adaptPolicies, overlay } from "../../policy/adapt.ts";
import type { LoadedPolicy } from "../../policy/load.ts";
import {
  type Asked,
  ask,
  placeCredential,
  routeFor,
  STAND_IN,
  withPlaceForClaims,
} from "../explain/ask.ts";
import { completeClaims, judgeClaims } from "../explain/claims-token.ts";
import type { TokenVerifiers } from "../explain/token-verifiers.ts";
import type { Facts, TestResult } from "./result.ts";
import type { Answer, Scenario } from "./scenario.ts";

const NOT_REVOKED: Rules["revocations"] = {
  check: () => undefined,
  state: () => ({ fresh: true }),
};

/** @param tokens Verify real tokens, with the keys that are at hand. */
export async function runScenario(
  scenario: Scenario,
  assembly: Assembly,
  tokens: Pick<TokenVerifiers, "verifierOf">,
): Promise<TestResult> {
  const began = performance.now();
  const { claims, history, place = {}, token } = scenario;
  const placeable = claims === undefined ? assembly : withPlaceForClaims(assembly);
  const rules = makeRules(withAnswers(placeable, scenario), {
    revocations: NOT_REVOKED,
    placeOf: () => place,
    verifierOf:
      claims === undefined
        ? tokens.verifierOf
        : (route) => claimsVerifier(route, scenario, assembly),
    ...(history && { historyOf: async () => history }),
  });
  const { name, file, line, request, device, expect } = scenario;
  const route = routeFor(rules, request)?.config;
  const base = { kind: "scenario", name, ...(route && { route: route.name }), file, line } as const;
  const unclear = whoseClaims(scenario, route);
  const expected = factsOf(expect);
  if (unclear !== undefined) {
    const actual = new Map([["", unclear]]);
    return { ...base, asked: [], ok: false, expected, actual, ms: performance.now() - began };
  }
  const placed = placeCredential(rules, request, claims === undefined ? token : STAND_IN);
  const asked = await ask(rules, placed, device);
  const facts = factsOf(outcomeOf(asked, scenario));
  const ok = [...expected].every(([key, value]) => facts.get(key) === value);
  return {
    ...base,
    asked: asked.decision?.policies ?? [],
    ok,
    expected,
    // What holds is told as it was expected; what does not, as it is.
    actual: ok ? expected : facts,
    ms: performance.now() - began,
  };
}

/** @returns Why it cannot be told. */
function whoseClaims(
  { claims, issuer }: Scenario,
  route: RouteConfig | undefined,
): string | undefined {
  if (claims === undefined || issuer !== undefined || Object.hasOwn(claims, "iss"))
    return undefined;
  if (route === undefined || route.public || route.issuers.length === 1) return undefined;
  const known = route.issuers.join(", ");
  return `cannot be run: route ${route.name} trusts ${known}: add issuer, to say whose claims these are`;
}

/** By the rules of the issuer, but for the cryptography. */
function claimsVerifier(
  route: RouteConfig,
  { claims = {}, issuer: name, request }: Scenario,
  { config }: Assembly,
): Verifier {
  return {
    verify(_, nowMs) {
      const issuer =
        config.issuers.find((one) => one.name === (name ?? route.issuers[0])) ?? config.issuers[0];
      const isTrusted = name === undefined || route.issuers.includes(name);
      const given = issuer === undefined ? claims : unmapped(claims, issuer.claims);
      // What the route does not trust is refused by its `iss`, as a real token would be.
      const whose = isTrusted || issuer === undefined ? given : { iss: issuer.issuer, ...given };
      const asked = isTrusted && !Object.hasOwn(claims, "iss") ? name : undefined;
      const made = completeClaims(whose, route, config.issuers, asked, request.nowMs);
      return judgeClaims(made, nowMs);
    },
  };
}

/**
 * Claims may be written as the token has them, or under the names that the configuration gives
 * them: those are put where the issuer would have them.
 */
function unmapped(claims: JsonObject, mapping: Readonly<Record<string, string>>): JsonObject {
  const sources = Object.entries(mapping).flatMap(([name, source]) =>
    Object.hasOwn(claims, name) && claimAt(claims, source) === undefined
      ? [[source, own(claims, name)]]
      : [],
  );
  return sources.length === 0 ? claims : { ...claims, ...Object.fromEntries(sources) };
}

/** Policies whose `fetch` and `secret` answer what the scenario says. */
function withAnswers(assembly: Assembly, { fetch: answers, secrets }: Scenario): Assembly {
  const send = async (url: string | URL): Promise<Response> => {
    const address = String(url);
    const answer = answers && Object.hasOwn(answers, address) ? answers[address] : undefined;
    if (answer !== undefined) return responseOf(answer);
    throw new Error("a scenario has no network: give it an answer for this address under fetch");
  };
  const secret = (name: string): string => {
    const value = secrets && Object.hasOwn(secrets, name) ? secrets[name] : undefined;
    if (value !== undefined) return value;
    throw new Error(`a scenario has no secret ${name}: give it one under secrets`);
  };
  const adapted = (policy: LoadedPolicy): LoadedPolicy => ({
    ...policy,
    evaluate: (input) =>
      policy.evaluate(overlay(input, { fetch: () => send, secret: () => secret })),
  });
  const programs = [...assembly.programs].map(
    ([route, program]) => [route, adaptPolicies(program, ({ policy }) => adapted(policy))] as const,
  );
  return { ...assembly, programs: new Map(programs) };
}

function responseOf({ status = 200, headers = {}, body, json }: Answer): Response {
  const init = { status, headers };
  if (json !== undefined) return Response.json(json, init);
  return new Response(status === 204 || status === 304 ? null : (body ?? ""), init);
}

type Outcome = {
  readonly decision?: "forward" | "deny" | undefined;
  readonly status?: number | undefined;
  readonly code?: string | undefined;
  readonly policy?: string | undefined;
  readonly reason?: string | undefined;
  readonly upstreamHeaders?: Readonly<Record<string, string | null>> | undefined;
};

/** Of the upstream's headers those alone that are expected: all others are the client's, mostly. */
function outcomeOf({ result }: Asked, { expect }: Scenario): Outcome {
  if (!result.ok) {
    const { status, code, policy, reason } = result.error;
    return { decision: "deny", status, code, policy, reason };
  }
  const { headers } = result.value;
  const names = Object.keys(expect.upstreamHeaders ?? {});
  const sent = names.map((name) => [name, decoded(headers.get(name))]);
  return { decision: "forward", upstreamHeaders: Object.fromEntries(sent) };
}

/** Header values are bytes, one code unit each; identity goes as UTF-8. */
function decoded(value: string | null): string | null {
  return value === null ? null : new TextDecoder().decode(Buffer.from(value, "latin1"));
}

function factsOf({ upstreamHeaders = {}, ...rest }: Outcome): Facts {
  const facts = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, string] => [name, String(value)]);
  const headers = Object.entries(upstreamHeaders).map(([name, value]): [string, string] => [
    `header ${name}`,
    value === null ? "(not sent)" : JSON.stringify(value),
  ]);
  return new Map([...facts, ...headers]);
}

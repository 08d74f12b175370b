/**
 * From a decision on a request that nobody made to its explanation.
 *
 * @module
 */
import type { CredentialPlace, IssuerConfig, RouteConfig } from "../../config/resolved.ts";
import type { Decision } from "../../gate/decide.ts";
import { extractCredential } from "../../gate/extract.ts";
import type { Rules } from "../../gate/site.ts";
import { isOpaque } from "../../identity/introspection-verifier.ts";
import type { Issuer } from "../../identity/issuers.ts";
import { own } from "../../identity/strict-json.ts";
import type { Denial, Inquiry } from "../../types.ts";
import { adviceOn } from "./advice.ts";
import type { Asked } from "./ask.ts";
import { denialWords, wayChecks } from "./checks.ts";
import type { ClaimsToken } from "./claims-token.ts";
import type { Check, Explanation, TokenContent } from "./explanation.ts";
import { explainPolicies, placedPolicies } from "./places.ts";
import { type MadeUpRequest, placeWord } from "./request.ts";
import { routeFacts } from "./route-facts.ts";
import { shownUpstream } from "./shown-upstream.ts";
import { stageOf } from "./stage.ts";
import { isVerified, tokenChecks } from "./token-checks.ts";
import { contentLines, readContent } from "./token-content.ts";

type Circumstances = {
  readonly rules: Rules;
  readonly file: string;
  readonly made: ClaimsToken | undefined;
  readonly opened: ReadonlyMap<string, Issuer>;
  readonly request: MadeUpRequest;
};

export function explainAsked(asked: Asked, circumstances: Circumstances): Explanation {
  const { inquiry, decision, result } = asked;
  const { rules, file, made, opened, request } = circumstances;
  const { config, policies: set } = rules;
  const denial = result.ok ? undefined : result.error;
  const stage = denial && stageOf(denial);
  const route = decision?.route?.config;
  const found = inquiry && route && findCredential(inquiry, route);
  const token = decision?.token;
  const content = found?.text === undefined ? undefined : readContent(found.text);
  const payload = made?.payload ?? (content?.kind === "signed" ? content.payload : undefined);
  const issuer =
    config.issuers.find(({ name }) => name === token?.issuerName) ??
    config.issuers.find((one) => payload && one.issuer === own(payload, "iss"));

  const policyOf = (name: string) => set.policies.get(name);
  const outcomes = decision?.policies ?? [];
  const placed = route === undefined ? [] : placedPolicies(route, config, file);
  const explained = explainPolicies(outcomes, placed, policyOf);
  const facts = routeFacts(config, file, route, inquiry);
  const revoked = token && stage === "revocation" ? rules.revocations.check(token) : undefined;
  const words = denial && denialWords(denial, denial.code);
  const revokedBy =
    revoked === undefined
      ? ""
      : ` by ${revoked.author} at ${new Date(revoked.atMs).toISOString()}: ${revoked.reason || "no reason given"}`;

  const hasToken = token !== undefined || stage === "token";
  const checks = wayChecks({
    failed: stage && { stage, detail: `${words ?? ""}${revokedBy}` },
    asks: route?.public ? "nothing" : "credential",
    limited: "first",
    passed: {
      request: "host, target and client are readable",
      ...(route && { route: facts.detail }),
      ...(found && { credential: credentialWords(found.place, made) }),
      ...(token && { revocation: "neither the token nor its subject or issuer is revoked" }),
      ...(token && { policies: policiesWords(outcomes.length, explained.notAsked.length) }),
      ...(token && { identity: "fits the headers of the route" }),
    },
    token: hasToken ? [...claimsChecks(made), ...checksOfToken()] : [],
  });

  function checksOfToken(): readonly Check[] {
    const isAskedAbout =
      found?.text !== undefined && isOpaque(found.text) && asksIssuers(route, config.issuers);
    const ofText = isAskedAbout ? "opaque" : (content?.kind ?? "signed");
    const kind = made !== undefined ? "claims" : ofText;
    const { reason = "", detail = "" } = denial ?? {};
    const refusal = stage === "token" ? { refusal: { reason, detail } } : {};
    return tokenChecks({ kind, issuer: issuer?.name, ...refusal });
  }

  const client = inquiry?.client.ip ?? request.address ?? "unix";
  const { origin, pathname } = new URL(request.url);
  const at = new Date(request.nowMs).toISOString();
  return {
    request: `${request.method} ${origin}${inquiry?.path ?? pathname} from ${client} at ${at}`,
    decision: result.ok ? "forward" : "deny",
    status: denial?.status ?? null,
    code: denial?.code ?? null,
    route: facts.route,
    routeNotes: facts.notes,
    credential: found === undefined ? null : placeWord(found.place),
    checks,
    ...(hasToken && contentOf(made, content, stage === "token" ? denial?.reason : undefined)),
    ...explained,
    ...(result.ok && { upstream: shownUpstream(request.method, result.value, found?.text) }),
    advice:
      denial === undefined
        ? []
        : adviceOn({
            denial,
            route,
            issuer,
            policies: outcomes,
            policyOf,
            ...(token && { claims: token.claims }),
          }),
    notes: [...keyNotes(opened), ...obligationNotes(decision, denial)],
  };
}

function asksIssuers(route: RouteConfig | undefined, issuers: readonly IssuerConfig[]): boolean {
  return issuers.some(
    ({ name, introspection }) => introspection !== undefined && route?.issuers.includes(name),
  );
}

type Found = { readonly place: CredentialPlace; readonly text: string | undefined };

/** The gate's own reading, asked for one place at a time. */
function findCredential(inquiry: Inquiry, { credentials }: RouteConfig): Found | undefined {
  for (const place of credentials) {
    const read = extractCredential(inquiry, [place]);
    if (read.ok) return { place, text: read.value };
    if (read.error.code !== "token_missing") return { place, text: undefined };
  }
  return undefined;
}

function credentialWords(place: CredentialPlace, made: ClaimsToken | undefined): string {
  return made === undefined ? `in ${placeWord(place)}` : `assumed, in ${placeWord(place)}`;
}

function policiesWords(asked: number, notAsked: number): string {
  if (asked === 0) return "none: any verified token passes";
  return notAsked === 0 ? "let it pass" : "let it pass; not all had to be asked";
}

function claimsChecks(made: ClaimsToken | undefined): readonly Check[] {
  if (made === undefined) return [];
  const { issuer, assumed } = made;
  if (issuer === undefined) return [];
  const whose = `--claims stands for a token that ${issuer.name} has signed`;
  const signature = { name: "signature", ok: true, detail: `not checked: ${whose}` };
  if (assumed.length === 0) return [signature];
  const detail = `${assumed.join(", ")}: --claims does not say`;
  return [signature, { name: "assumed", ok: true, detail }];
}

/** @param refusedFor Why the token was refused; `undefined` where it holds. */
function contentOf(
  made: ClaimsToken | undefined,
  content: ReturnType<typeof readContent>,
  refusedFor: string | undefined,
): { readonly content?: TokenContent } {
  if (made !== undefined) {
    return { content: { standing: "given", lines: contentLines(undefined, made.payload) } };
  }
  if (content === undefined) return {};
  const lines = contentLines(
    content.header,
    content.kind === "signed" ? content.payload : undefined,
  );
  // Of an encrypted token the outer header alone is known here, and nobody has signed that.
  const isKnown = content.kind === "signed" && isVerified(refusedFor);
  return { content: { standing: isKnown ? "verified" : "unverified", lines } };
}

function keyNotes(opened: ReadonlyMap<string, Issuer>): readonly string[] {
  return [...opened].flatMap(([name, { keys }]) => {
    const { state, error } = keys.state();
    return state === "fresh" ? [] : [`keys of issuer ${name} are ${state}: ${error ?? "not read"}`];
  });
}

function obligationNotes(
  decision: Decision | undefined,
  denial: Denial | undefined,
): readonly string[] {
  const notes: string[] = [];
  if (denial?.revoke !== undefined) {
    notes.push(`a gate would also revoke the ${denial.revoke}, as ${denial.policy} asks`);
  }
  const assertion = decision?.result.ok ? decision.route?.config.assertion : undefined;
  if (assertion !== undefined && decision?.token !== undefined) {
    notes.push(
      `the upstream also gets ${assertion.header}, which a gate signs: no keys are used here`,
    );
  }
  const asked = decision?.result.ok ? (decision.result.value.rateLimits ?? []) : [];
  if (decision?.route?.config.rateLimit !== undefined || asked.length > 0) {
    notes.push("rate limits apply, which a gate counts: nothing was counted here");
  }
  return notes;
}

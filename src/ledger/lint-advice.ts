/**
 * What to change at the provider, in the provider's own words where they are known.
 *
 * @module
 */
import type { LintCode } from "./lint.ts";

export type Provider = "auth0" | "okta" | "entra" | "keycloak";

/** @returns Which product an issuer is, as far as its address tells. */
export function providerOf(issuer: string): Provider | undefined {
  const url = URL.parse(issuer);
  if (url === null) return undefined;
  const isBelow = (domain: string) =>
    url.hostname === domain || url.hostname.endsWith(`.${domain}`);
  if (isBelow("auth0.com")) return "auth0";
  if (["okta.com", "oktapreview.com", "okta-emea.com"].some(isBelow)) return "okta";
  const microsoft = ["microsoftonline.com", "microsoftonline.us", "sts.windows.net"];
  if ([...microsoft, "ciamlogin.com", "partner.microsoftonline.cn"].some(isBelow)) return "entra";
  return /\/realms\/[^/]+\/?$/.test(url.pathname) ? "keycloak" : undefined;
}

type Advice = {
  /** What it means for the gate. */
  readonly problem: string;
  /** What to change, whatever the provider. */
  readonly fix: string;
} & Partial<Record<Provider, string>>;

const ADVICE: Readonly<Record<LintCode, Advice>> = {
  audience_broad: {
    problem: "good at many places: whoever gets it at one can use it here",
    fix: "give each API an audience of its own, and ask for a token for that one",
    auth0:
      "ask for one API with the audience parameter, and leave openid out where no UserInfo is needed",
    okta: "use a custom authorization server with its own Audience for each API (Security > API)",
    entra: "ask for the scopes of one API at a time: api://APP-ID/.default",
    keycloak:
      "turn Full scope allowed off (Client scopes > the client's dedicated scope > Scope), and add an Audience mapper for this API",
  },
  clock_ahead: {
    problem: "issued in our future: the provider's clock is ahead, or this machine's is behind",
    fix: "set this machine's clock by NTP; if it is right, tell the provider",
    keycloak: "set the clocks of this machine and of Keycloak's by NTP",
  },
  groups_overage: {
    problem: "its owner is in too many groups, so the token has none: policies see no groups",
    fix: "send fewer groups, or roles instead of groups",
    okta: "narrow the Groups claim's Filter in the authorization server (Claims)",
    entra:
      "set Token configuration > groups claim to Groups assigned to the application, or use App roles",
    auth0: "add only the groups that are needed in the Action that sets the claim",
    keycloak: "use a role mapper, or a narrower Group Membership mapper",
  },
  iat_missing: {
    problem: "nobody can tell when it was issued: with its subject revoked, it is refused for good",
    fix: "have the provider send iat",
  },
  jti_missing: {
    problem:
      "it has no id: it can be revoked here by its hash alone, and not found at its provider",
    fix: "have the provider send jti",
    auth0: "set JSON Web Token (JWT) Profile to RFC 9068 (Applications > APIs > Settings)",
    entra: "Microsoft has no setting for it: revoke such tokens here by --token or --subject",
    keycloak: "Keycloak sends jti by itself: see which mapper takes it away",
  },
  key_retiring: {
    problem:
      "its issuer signs with another key now: it is refused once the old one leaves the JWKS",
    fix: "keep the old key in the JWKS until the longest token has expired",
    auth0: "wait with Revoke after Rotate Signing Key (Settings > Signing Keys)",
    okta: "leave Key rotation on automatic, or wait before you retire the old key",
    entra: "nothing to do but to expect it: Microsoft rolls its keys by itself",
    keycloak:
      "leave the old key passive (enabled, not active) until then (Realm settings > Keys > Add providers)",
  },
  lifetime_long: {
    problem: "valid for more than a day: if stolen, for as long",
    fix: "an hour or less, and a refresh token for the rest",
    auth0: "shorten Maximum Access Token Lifetime (Applications > APIs > Settings)",
    okta: "shorten Access token lifetime (the authorization server's Access Policies > rule)",
    entra:
      "only Continuous Access Evaluation gives so long ones: have the client leave out the capability cp1",
    keycloak: "shorten Access Token Lifespan (Realm settings > Tokens, or the client's Advanced)",
  },
  rsa_2048: {
    problem: "signed with RSA under 3072 bits, which policies end with 2030 (NIST SP 800-57)",
    fix: "sign with ES256 or PS256 and 3072 bits once the provider can",
    auth0: "choose PS256 as the API's signing algorithm if it is offered; else plan for it",
    okta: "Okta signs with 2048 bits: plan for it",
    entra: "Microsoft signs with 2048 bits: plan for it",
    keycloak:
      "add a provider rsa-generated with Key size 4096 and a higher Priority (Realm settings > Keys > Add providers)",
  },
};

/** @returns `undefined` for a code of another version. */
export function adviceFor(
  code: string,
  provider: Provider | undefined,
): { readonly problem: string; readonly fix: string } | undefined {
  if (!Object.hasOwn(ADVICE, code)) return undefined;
  const advice = ADVICE[code as LintCode];
  return { problem: advice.problem, fix: (provider && advice[provider]) ?? advice.fix };
}

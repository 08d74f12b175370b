/**
 * UserInfo (OpenID Connect Core §5.3): says again what the access token says of the person.
 *
 * @module
 */
import { createLocalJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { ensureDevelopmentKeys } from "../identity/development-keys.ts";
import type { Provider } from "./provider.ts";

/** What `claimsOf` puts into a token, and the subject. */
const ABOUT_THE_PERSON: readonly string[] = [
  "sub",
  "roles",
  "name",
  "preferred_username",
  "email",
  "email_verified",
];

/** @returns The claims, or a 401 or 403 as RFC 6750 §3 has them. */
export async function answerUserInfo(provider: Provider, request: Request): Promise<Response> {
  const [, token] =
    /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (token === undefined) return refuse(401, "");
  const payload = await verifyOwn(provider, token);
  if (payload === undefined) return refuse(401, ', error="invalid_token"');
  if (
    !String(payload.scope ?? "")
      .split(" ")
      .includes("openid")
  ) {
    return refuse(403, ', error="insufficient_scope", scope="openid"');
  }
  const known = Object.entries(payload).filter(([name]) => ABOUT_THE_PERSON.includes(name));
  return Response.json(Object.fromEntries(known), { headers: { "Cache-Control": "no-store" } });
}

async function verifyOwn(provider: Provider, token: string): Promise<JWTPayload | undefined> {
  const keys = await ensureDevelopmentKeys(provider.folder);
  const jwks = createLocalJWKSet({ keys: keys.map((key) => key.publicJwk) });
  try {
    const { payload } = await jwtVerify(token, jwks, {
      issuer: provider.issuer,
      algorithms: ["ES256"],
      typ: "at+jwt",
      requiredClaims: ["sub", "exp"],
      currentDate: new Date(provider.now()),
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

function refuse(status: number, problem: string): Response {
  return new Response(null, {
    status,
    headers: {
      "WWW-Authenticate": `Bearer realm="claimgate idp"${problem}`,
      "Cache-Control": "no-store",
    },
  });
}

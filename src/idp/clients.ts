/**
 * Who a client is (RFC 6749 §2.3): `client_secret_basic`, `client_secret_post` or `none`.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "../result.ts";
import { type OAuthError, oauthError } from "./oauth-error.ts";

type Sent = { readonly id: string; readonly secret: string | undefined };

/**
 * @param clients Id and secret; empty for a public client. With none at all any id passes, with
 *   any secret or none.
 * @param authorization The `Authorization` field, if any.
 * @param body `client_id` and `client_secret` of the form.
 * @returns The client's id.
 */
export function authenticateClient(
  clients: ReadonlyMap<string, string>,
  authorization: string | null,
  body: { readonly client_id?: string; readonly client_secret?: string },
): Result<{ readonly id: string; readonly isPublic: boolean }, OAuthError> {
  const sent = readSent(authorization, body);
  if (!sent.ok) return sent;
  const { id, secret } = sent.value;
  if (clients.size === 0) return ok({ id, isPublic: false });
  const expected = clients.get(id);
  if (expected === undefined || !isSame(expected, secret ?? "")) {
    return err(oauthError("invalid_client", "unknown client, or its secret is wrong"));
  }
  return ok({ id, isPublic: expected === "" });
}

function readSent(
  authorization: string | null,
  body: { readonly client_id?: string; readonly client_secret?: string },
): Result<Sent, OAuthError> {
  if (authorization === null) {
    return body.client_id === undefined
      ? err(oauthError("invalid_client", "client_id is missing"))
      : ok({ id: body.client_id, secret: body.client_secret });
  }
  const basic = readBasic(authorization);
  if (basic === undefined) {
    return err(oauthError("invalid_client", "Authorization holds no Basic credentials"));
  }
  // RFC 6749 §2.3: a client must not use more than one method in a request.
  if (body.client_secret !== undefined || (body.client_id ?? basic.id) !== basic.id) {
    return err(oauthError("invalid_request", "the client is named in two places"));
  }
  return ok(basic);
}

/** RFC 7617, with both halves form-encoded as RFC 6749 §2.3.1 asks. */
function readBasic(authorization: string): Sent | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization) ?? [];
  const [, id, secret] =
    /^([^:]+):(.*)$/s.exec(Buffer.from(encoded ?? "", "base64").toString("utf8")) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  return { id: decodeForm(id), secret: decodeForm(secret) };
}

/** A half that is not form-encoded, as many clients send it, is taken as it is. */
function decodeForm(half: string): string {
  try {
    return decodeURIComponent(half.replaceAll("+", " "));
  } catch {
    return half;
  }
}

/** Takes the same time wherever the two differ. */
function isSame(a: string, b: string): boolean {
  const digest = (value: string) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * The login that a command is to use, with a token that is good for a while.
 *
 * @module
 */
import { GateError } from "../../errors.ts";
import { keepRotationLock } from "../../identity/rotation-lock.ts";
import { programWord } from "../program-word.ts";
import { type KeptLogin, keepLogin, lockOf, readLogins } from "./kept-logins.ts";
import { refresh } from "./provider.ts";

/** A token that ends sooner is renewed first. */
const NEAR_MS = 60_000;

/**
 * @param login From `readLogins`.
 * @throws GateError `config_invalid` when it has expired and cannot be renewed.
 */
export async function renewed(folder: string, login: KeptLogin): Promise<KeptLogin> {
  if (isGood(login, NEAR_MS)) return login;
  if (login.refreshToken === undefined) {
    if (isGood(login, 0)) return login;
    throw expired(login);
  }
  // Providers take a refresh token once: of two commands at once the second finds the new one.
  await using _lock = await keepRotationLock(lockOf(folder, login.issuer));
  const now = (await readLogins(folder)).find(({ issuer }) => issuer === login.issuer);
  if (now === undefined) throw expired(login);
  if (isGood(now, NEAR_MS)) return now;
  try {
    const { refreshToken: former, ...rest } = now;
    if (former === undefined) throw expired(now);
    const tokens = await refresh(now, former);
    const { subject = now.subject } = tokens;
    const renewedLogin = {
      ...rest,
      ...tokens,
      claims: { ...now.claims, ...tokens.claims },
      ...(subject !== undefined && { subject }),
    };
    await keepLogin(folder, renewedLogin);
    return renewedLogin;
  } catch (fault) {
    if (isGood(now, 0)) return now; // The provider may be back before it ends.
    throw fault instanceof GateError && fault.code === "config_invalid"
      ? new GateError("config_invalid", `${fault.message}; sign in anew: ${loginLine(now)}`)
      : fault;
  }
}

function isGood({ expiresMs }: KeptLogin, forMs: number): boolean {
  return expiresMs === undefined || Date.now() + forMs < expiresMs;
}

function expired(login: KeptLogin): GateError {
  const message = `the login at ${login.issuer} has expired; sign in anew: ${loginLine(login)}`;
  return new GateError("config_invalid", message);
}

/** What signs in again to the same. */
function loginLine({ issuer, clientId, origins }: KeptLogin): string {
  const whom = origins.map((origin) => ` --for ${origin}`).join("");
  return `${programWord()} login --issuer ${issuer} --client-id ${clientId}${whom}`;
}

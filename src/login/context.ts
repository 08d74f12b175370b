/**
 * What the parts of signing in and out share.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import type { Revocations } from "../ledger/revocations.ts";
import type { Result } from "../result.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Denial, Inquiry } from "../types.ts";
import type { AttemptCookies } from "./attempt.ts";
import type { Origins } from "./origins.ts";
import type { Provider } from "./provider.ts";
import type { KeyRing } from "./seal.ts";
import type { Sessions } from "./sessions.ts";

/** What signing in changes, for the audit. */
export type LoginAct = {
  readonly actor: string;
  readonly act: "sign_in" | "sign_out" | "end_sessions";
  readonly target: string;
  readonly reason: string;
};

export type LoginContext = {
  /** In force when the request came. */
  readonly config: Config;
  readonly origins: Origins;
  readonly ring: KeyRing;
  readonly attempts: AttemptCookies;
  readonly sessions: Sessions;
  readonly store: Pick<Store, "put" | "putNew" | "take" | "remove">;
  readonly revocations: Pick<Revocations, "check" | "revoke">;
  readonly providerOf: (issuerName: string) => Provider | undefined;
  /** The issuers that a person may sign in with to see an address, by name. */
  readonly choicesFor: (address: URL) => readonly string[];
  readonly record: (act: LoginAct) => void;
  readonly log: Pick<Log, "event">;
};

export type LoginRequest = {
  readonly inquiry: Inquiry;
  /** The body as text; `undefined` for one that is longer than any that is expected. */
  readonly readText: () => Promise<string | undefined>;
};

export type LoginAnswer = Result<Response, Denial>;

/** Named so that a browser keeps it for this very host, where it can. */
export function sessionCookieName({ secure }: Pick<Origins, "secure">): string {
  return secure ? "__Host-claimgate" : "claimgate";
}

export function redirect(to: string, cookies: readonly string[], status: 302 | 303 = 302) {
  const headers = new Headers({
    Location: to,
    "Cache-Control": "no-store",
    // The address before may hold a code.
    "Referrer-Policy": "no-referrer",
  });
  for (const cookie of cookies) headers.append("Set-Cookie", cookie);
  return new Response(null, { status, headers });
}

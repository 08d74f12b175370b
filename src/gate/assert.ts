/**
 * Gives an approved request the gate's own assertion about the user, where its route wants one,
 * and publishes the keys that it is checked with.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { type Assertions, createAssertions } from "../identity/assertion.ts";
import { openAssertionKeys } from "../identity/assertion-keys.ts";
import { createRingKeeper } from "../login/login.ts";
import { type Err, err, ok, type Result } from "../result.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Denial, Inquiry, Token } from "../types.ts";
import type { Approval } from "./decide.ts";
import type { Gate, Route } from "./site.ts";

type Dependencies = {
  readonly store: Pick<Store, "get" | "putNew" | "replace">;
  /** The one in force. */
  readonly config: () => Config;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
};

/** How long others may keep the keys; a new one is published for longer before it signs. */
const KEYS_GOOD_FOR_SECONDS = 300;

/** Keys are read, or made, when a route first wants an assertion, and not before. */
export function openGateAssertions({ store, config, log, now }: Dependencies): Assertions {
  const ring = createRingKeeper(config);
  const keys = openAssertionKeys({
    store,
    seal: async (content) => (await ring()).seal("assertion", content),
    open: async (text) => (await ring()).open("assertion", text),
    now,
    warn: (message) => log.event("warn", "assertion", message),
  });
  return createAssertions(keys, () => originOf(config()));
}

/** Where clients find the gate, as far as it knows itself. */
function originOf({ publicUrl, listen, tls }: Config): string {
  if (publicUrl !== undefined) return publicUrl;
  const scheme = tls === undefined ? "http" : "https";
  const address = listen.find((one) => one.kind === "tcp");
  if (address === undefined) return `${scheme}://localhost`;
  const { hostname, port } = address;
  return new URL(`${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`)
    .origin;
}

/**
 * @param token Absent on a public route, which says nothing of anybody.
 * @returns The approval with the assertion among its headers; at once for a token that came
 *   lately. 503 `store_unavailable` while there are no keys.
 */
export function withAssertion(
  { assertions, log }: Pick<Gate, "assertions" | "log">,
  { config }: Pick<Route, "config">,
  { id, nowMs }: Pick<Inquiry, "id" | "nowMs">,
  token: Token | undefined,
  approval: Approval,
): Result<Approval, Denial> | Promise<Result<Approval, Denial>> {
  const { assertion } = config;
  if (assertion === undefined || token === undefined) return ok(approval);
  const add = (jwt: string): Result<Approval, Denial> =>
    ok({ ...approval, identity: [...approval.identity, [assertion.header, jwt]] });
  const asserted = assertions.assert(assertion, token, nowMs);
  if (typeof asserted === "string") return add(asserted);
  return asserted.then(add, (fault: unknown) => {
    const denial = unavailable(fault);
    const fields = { requestId: id, route: config.name };
    log.event("warn", "assertion", (fault as GateError).message, fields);
    return denial;
  });
}

/** RFC 7517 §5, for `/.claimgate/jwks.json`. Without a route that asserts there are no keys. */
export async function answerKeys({ assertions, site }: Gate): Promise<Result<Response, Denial>> {
  const asserts = site.config.routes.some(({ assertion }) => assertion !== undefined);
  try {
    const keys = asserts ? await assertions.keys() : [];
    const headers = { "Cache-Control": `public, max-age=${KEYS_GOOD_FOR_SECONDS}` };
    return ok(Response.json({ keys }, { headers }));
  } catch (fault) {
    return unavailable(fault);
  }
}

/** @throws Whatever is not a fault of the store, or of the key that protects what lies there. */
function unavailable(fault: unknown): Err<Denial> {
  const codes = ["store_unavailable", "store_damaged", "state_unusable"];
  if (!(fault instanceof GateError) || !codes.includes(fault.code)) throw fault;
  return err({ status: 503, code: "store_unavailable", reason: "assertion_unavailable" });
}

/**
 * The gate's own addresses, the same under every host: how it is, and where people sign in and
 * out.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import type { LoginAnswer } from "../login/context.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";
import { answerKeys } from "./assert.ts";
import type { ReadInquiry } from "./inquire.ts";
import type { Gate } from "./site.ts";

export const RESERVED_PREFIX = "/.claimgate/";

/** What a provider or a form of ours posts is far shorter. */
const MOST_BODY_BYTES = 64 * 1024;

/**
 * @returns 400 `request_malformed` for an ambiguous path, 404 `route_not_found` for a name that
 *   is not ours, 405 for a method that is not; what signing in comes to.
 */
export async function answerReserved(
  gate: Gate,
  { inquiry, ambiguousPath }: ReadInquiry,
  request: Request,
): Promise<Result<Response, Denial>> {
  if (ambiguousPath)
    return err({ status: 400, code: "request_malformed", reason: "path_ambiguous" });
  const name = inquiry.path.slice(RESERVED_PREFIX.length);
  const signing = gate.login.answer(name, { inquiry, readText: () => readText(request) });
  if (signing !== undefined) return named(inquiry.id, await signing.catch(storeUnavailable));

  const answer = READERS[name];
  if (answer === undefined && name !== "jwks.json")
    return err({ status: 404, code: "route_not_found" });
  if (inquiry.method !== "GET" && inquiry.method !== "HEAD") {
    return err({ status: 405, code: "method_not_allowed", allow: ["GET", "HEAD"] });
  }
  if (answer === undefined) return named(inquiry.id, await answerKeys(gate));
  const { status, body } = answer(gate);
  const headers = { "Cache-Control": "no-store", "X-Request-Id": inquiry.id };
  return ok(Response.json(body, { status, headers }));
}

function named(requestId: string, answer: LoginAnswer): LoginAnswer {
  if (answer.ok) answer.value.headers.set("X-Request-Id", requestId);
  return answer;
}

/** @throws Whatever is not the store's failure. */
function storeUnavailable(fault: unknown): LoginAnswer {
  const isOurs = fault instanceof GateError;
  if (!isOurs || !["store_unavailable", "revocations_full"].includes(fault.code)) throw fault;
  return err({ status: 503, code: "store_unavailable", reason: "session_unread" });
}

async function readText({ body }: Request): Promise<string | undefined> {
  if (body === null) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MOST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

type Reader = (gate: Gate) => { readonly status: number; readonly body: object };

const READERS: Readonly<Record<string, Reader>> = Object.assign(Object.create(null), {
  health: (): ReturnType<Reader> => ({ status: 200, body: { status: "ok" } }),
  ready: readReadiness,
});

/**
 * Ready once configuration and policies are in force; neither an issuer that is down nor a store
 * that is lost changes that, for public routes pass.
 */
function readReadiness(gate: Gate): ReturnType<Reader> {
  const issuers = [...gate.site.issuers.values()].map(({ config, keys }) => {
    const { state, keys: count, fetchedAt } = keys.state();
    const since = fetchedAt === undefined ? {} : { fetchedAt: new Date(fetchedAt).toISOString() };
    return { name: config.name, state, keys: count, ...since };
  });
  const reload = gate.lastReload && {
    inForce: gate.lastReload.inForce,
    at: new Date(gate.lastReload.atMs).toISOString(),
  };
  const store = readStoreState(gate);
  return gate.draining
    ? { status: 503, body: { status: "draining", issuers, store } }
    : { status: 200, body: { status: "ready", issuers, store, ...(reload && { reload }) } };
}

/** Lost: not heard of for longer than `revocation.maxStaleness`. */
function readStoreState({ ledger }: Gate) {
  const { fresh, syncedAtMs } = ledger.revocations.state();
  const since = syncedAtMs === undefined ? {} : { syncedAt: new Date(syncedAtMs).toISOString() };
  return { state: fresh ? "fresh" : "lost", ...since };
}

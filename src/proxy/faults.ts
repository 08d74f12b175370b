/**
 * What went wrong on the way to an upstream, in the project's words.
 *
 * @module
 */
import { GateError } from "../errors.ts";

/** The connection failed before a byte of the request was sent. */
const NOT_CONNECTED: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "ENOENT", // a unix socket that is not there
  "EACCES", // a unix socket that is not ours to use
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
]);

/** nginx's status for a client that went away; nobody receives it, the log has it. */
const CLIENT_GONE = 499;

/** Whether a request that failed so may be sent to another address: this one saw nothing of it. */
export function isNotConnected(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && NOT_CONNECTED.has(fault.code);
}

/** @param message Without the upstream's address; `cause`, for the log, may hold it. */
export function unreachable(message: string, cause?: unknown): GateError {
  return new GateError("upstream_unreachable", message, { cause });
}

export function timedOut(): GateError {
  return new GateError("upstream_timeout", "the upstream did not answer in time");
}

export function answerToNobody(): Response {
  return new Response(null, { status: CLIENT_GONE });
}

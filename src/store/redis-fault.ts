/**
 * Redis' errors, as the store's faults. Nothing that was sent is ever in a message.
 *
 * @module
 */
import { GateError } from "../errors.ts";

/** The first word of an error reply, and what an operator reads for it. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  OOM: "it is full: raise maxmemory",
  LOADING: "it is still loading its data",
  READONLY: "it is a read-only replica",
  MASTERDOWN: "it is a replica without its master",
  MISCONF: "it cannot save to its disk and takes no writes",
  BUSY: "it is busy with a script",
  NOAUTH: "it asks for a password",
  WRONGPASS: "it refuses the user name or password",
  NOPERM: "its access list does not allow this user what Claimgate needs",
  CERTIFICATE: "its certificate is not good for its name, or by no authority that is known here",
  MAXCLIENTS: "it has too many clients",
  MOVED: "it is a cluster, which Claimgate does not speak to",
  ASK: "it is a cluster, which Claimgate does not speak to",
  CLUSTERDOWN: "it is a cluster, which Claimgate does not speak to",
  FULL: "it holds as many revocations as it may",
  CROWDED: "it holds as many sessions and single values as it may",
};

/** What the operator has to mend, however long anybody waits. */
const LASTING: ReadonlySet<string> = new Set([
  "NOAUTH",
  "WRONGPASS",
  "NOPERM",
  "CERTIFICATE",
  "MOVED",
  "ASK",
  "CLUSTERDOWN",
]);

const DAMAGED: Readonly<Record<string, string>> = {
  WRONGTYPE: "another program uses keys with this prefix",
  NEWER: "its schema is newer than this claimgate knows; use the newer claimgate",
  OTHER: "another record lies at the same place of a chain",
  LOST: "revocations are missing: it must not evict keys (maxmemory-policy noeviction)",
};

/** There was no answer within the limit; whether the command took effect is not known. */
export class NoAnswer extends Error {}

/** We have closed it ourselves. */
export class Closed extends Error {}

/** @param where Names the store, without a password. */
export function redisFault(where: string, error: unknown): GateError {
  if (error instanceof GateError) return error;
  if (error instanceof NoAnswer) return new Passing(where, "it does not answer");
  if (error instanceof Closed) return new Passing(where, "it is closed");
  const text = error instanceof Error ? error.message : "";
  const word = wordOf(text);
  const damage = DAMAGED[word];
  if (damage !== undefined) return fault("store_damaged", where, damage);
  const why = UNAVAILABLE[word];
  if (why !== undefined && !LASTING.has(word)) return new Passing(where, why);
  if (why === undefined && isConnectionLost(error))
    return new Passing(where, "it cannot be reached");
  return fault("store_unavailable", where, why ?? plainReason(error, word));
}

/** May be over without anybody's doing: a server that starts, a network that is mended. */
class Passing extends GateError {
  constructor(where: string, why: string) {
    super("store_unavailable", messageOf(where, why));
  }
}

export function isPassing(error: unknown): boolean {
  return error instanceof Passing;
}

export function fault(
  code: "store_damaged" | "store_unavailable",
  where: string,
  why: string,
): GateError {
  return new GateError(code, messageOf(where, why));
}

const messageOf = (where: string, why: string) => `Cannot use the store ${where}: ${why}`;

/** Codes are Bun's or a certificate's: `ERR_REDIS_CONNECTION_CLOSED`, `DEPTH_ZERO_SELF_SIGNED_CERT`. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const isAuthentication = (code: string) => /AUTHENTICATION/.test(code);

/** Bun's client tells every closed connection so, whatever was said before it was closed. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error);
  return /CONNECTION|TIMEOUT|ECONN/.test(code) && !isAuthentication(code);
}

/** The first word of a reply, but for the one that has none. */
function wordOf(text: string): string {
  if (/^ERR max number of clients/.test(text)) return "MAXCLIENTS";
  return /^(?:ERR )?([A-Z]{3,})\b/.exec(text)?.[1] ?? "";
}

function plainReason(error: unknown, word: string): string {
  const code = codeOf(error);
  if (isAuthentication(code)) return "it refuses the user name or password";
  return `it answers with an error (${word || code || "unknown"})`;
}

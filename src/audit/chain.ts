/**
 * The chain that binds each record to the one before it, so that none can be changed, moved or
 * removed without the key. One writer, one chain: each start of a gate begins its own.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { jsonLine } from "../lib/json-line.ts";
import type { ChainedRecord } from "../store/store.ts";
import { type AuditEntry, recordIndex } from "./entry.ts";

/**
 * HMAC-SHA256 (RFC 2104) over the former MAC, a line feed and the body; base64url.
 *
 * @param former The MAC before it; for the first of a chain the writer's name, so that no chain
 *   can be passed off as another's.
 */
export type Mac = (former: string, body: string) => string;

export function createMac(key: Uint8Array): Mac {
  // A keyed state that is copied: the key is hashed once and not for each record.
  const keyed = new Bun.CryptoHasher("sha256", key);
  return (former, body) => keyed.copy().update(`${former}\n${body}`).digest("base64url");
}

const KEY_NAME_DIGITS = 8;
const WRITER_BYTES = 12;

/** A writer's name begins with its key's: what another key has signed is told from a forgery. */
function keyName(key: Uint8Array): string {
  // No record's MAC is made of a text without a line feed.
  return new Bun.CryptoHasher("sha256", key)
    .update("audit key name")
    .digest("hex")
    .slice(0, KEY_NAME_DIGITS);
}

export function isWriterOf(writer: string, key: Uint8Array): boolean {
  return writer.startsWith(`${keyName(key)}-`);
}

export type Chain = {
  readonly writer: string;
  /** Each call makes the next link: what it returns must reach the store in this order. */
  link(entry: AuditEntry): ChainedRecord;
};

export function openChain(key: Uint8Array): Chain {
  const mac = createMac(key);
  const writer = `${keyName(key)}-${randomBytes(WRITER_BYTES).toString("hex")}`;
  let seq = 0;
  let former = writer;
  return {
    writer,
    link(entry) {
      const body = jsonLine(entry);
      former = mac(former, body);
      seq += 1;
      const index = recordIndex(entry);
      return { writer, seq, atMs: Date.parse(entry.at), body, mac: former, index };
    },
  };
}

/**
 * The audit as the running gate tells it, in the form in which the store has it.
 *
 * @module
 */
import type { Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Decisions, Record } from "../../admin/schemas.ts";
import { type AuditEntry, recordIndex } from "../../audit/entry.ts";
import type { Found, RecordFilter } from "../../audit/search.ts";
import { GateError } from "../../errors.ts";
import { jsonLine } from "../../lib/json-line.ts";
import type { ChainedRecord } from "../../store/store.ts";
import type { AdminClient } from "../admin-client.ts";

export async function findThroughGate(
  client: AdminClient,
  filter: RecordFilter,
  limit: number,
): Promise<Found> {
  const query = { ...queryOf(filter), since: filter.since, limit };
  const { decisions, more } = await client.ask(Decisions, { path: "/v1/decisions", query });
  return { records: decisions.map(recordOf).reverse(), hasMore: more };
}

/**
 * @returns What came since this was called, page by page, until the gate ends or `signal` says so.
 */
export async function followThroughGate(
  client: AdminClient,
  filter: RecordFilter,
  signal: AbortSignal,
): Promise<AsyncGenerator<readonly ChainedRecord[]>> {
  const query = { ...queryOf(filter), source: "store" };
  const events = await client.follow({ path: "/v1/decisions/stream", query }, signal);
  return (async function* () {
    for await (const { event, data } of events) {
      if (event === "dropped") return;
      if (event === "store_lost") continue;
      const shown: unknown = JSON.parse(data);
      if (!Value.Check(Record, shown)) {
        throw new GateError("state_unusable", "the gate tells records that are none");
      }
      yield [recordOf(shown)];
    }
  })();
}

function queryOf({ subject, route, code, denied, shadow }: RecordFilter) {
  return { subject, route, code, denied, shadow, kind: "any" };
}

/** What is read of a record here; it was verified by nobody, as on the way from the store. */
function recordOf(shown: Static<typeof Record>): ChainedRecord {
  const atMs = Date.parse(shown.at);
  if (shown.kind === "damaged") {
    const { writer, seq } = shown;
    return { writer, seq, atMs, body: "", mac: "", index: { kind: "decision", denied: false } };
  }
  const index = recordIndex(shown as AuditEntry);
  return { writer: "", seq: 0, atMs, body: jsonLine(shown), mac: "", index };
}

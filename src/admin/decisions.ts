/**
 * `/v1/decisions`: what was decided and done, as the audit has it.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import { isoTime } from "../audit/entry.ts";
import { readEntry } from "../audit/scan.ts";
import { findRecords, queryOf, type RecordFilter } from "../audit/search.ts";
import { GateError } from "../errors.ts";
import type { ChainedRecord } from "../store/store.ts";
import { settle } from "./admin.ts";
import { endpoint } from "./endpoint.ts";
import { ProblemError } from "./problem.ts";
import { Decisions, type Record } from "./schemas.ts";

const Closed = { additionalProperties: false } as const;
/** Of one answer. */
export const MOST = 10_000;
export const MOST_SHOWN = 1_000;
const MOST_TEXT = 32 * 1024 * 1024;
const SEARCH_SECONDS = 240;
export const Limit = Type.Optional(
  Type.Integer({ minimum: 1, maximum: MOST, description: `At most so many; ${MOST_SHOWN}` }),
);
export const Word = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description }));

/** What the list and the stream are filtered by. */
export const filters = {
  subject: Word("Of this subject"),
  route: Word("On this route"),
  code: Word("Refused with this code: the client's, or a policy's own"),
  denied: Type.Optional(Type.Boolean({ description: "Refused" })),
  kind: Type.Optional(
    Type.Union([Type.Literal("decision"), Type.Literal("act"), Type.Literal("any")], {
      description: "Decisions, acts of administrators, or both; decisions",
    }),
  ),
  shadow: Type.Optional(
    Type.Boolean({ description: "That a policy under shadow would have refused" }),
  ),
};

const Time = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 40, description }));

export const decisionsEndpoint = endpoint({
  method: "GET",
  path: "/v1/decisions",
  summary: "Decisions and administrators' acts, newest first",
  query: Type.Object(
    {
      since: Time("A duration back from now (1h, 7d), or a time: from then on"),
      until: Time("Likewise: before then"),
      ...filters,
      limit: Limit,
    },
    Closed,
  ),
  answers: Decisions,
  async answer({ store, gate }, { query, request, setIdleLimit }) {
    const { limit = MOST_SHOWN, ...asked } = query;
    const filter = filterOf(asked);
    const nowMs = gate.now();
    checkTimes(filter, nowMs);
    await settle(gate);
    // What the store cannot search by is found by reading all.
    setIdleLimit(SEARCH_SECONDS);
    const bounds = { mostText: MOST_TEXT, signal: request.signal };
    const { records, hasMore } = await findRecords(store, filter, limit, nowMs, bounds);
    return { decisions: records.map(shownRecord).reverse(), more: hasMore };
  },
});

type AskedFilter = Omit<RecordFilter, "kind"> & { readonly kind?: "decision" | "act" | "any" };

export function filterOf({ kind = "decision", ...rest }: AskedFilter): RecordFilter {
  return kind === "any" ? rest : { ...rest, kind };
}

function checkTimes(filter: RecordFilter, nowMs: number): void {
  try {
    queryOf(filter, nowMs);
  } catch (fault) {
    const detail = fault instanceof GateError ? fault.message : undefined;
    throw new ProblemError("request_malformed", detail);
  }
}

/** The very members of the record; of one that is none any more, what is known of it. */
export function shownRecord(record: ChainedRecord): Static<typeof Record> {
  const { writer, seq, atMs } = record;
  const entry = readEntry(record);
  if (entry === undefined) return { kind: "damaged", at: isoTime(atMs), writer, seq };
  return entry as Static<typeof Record>;
}

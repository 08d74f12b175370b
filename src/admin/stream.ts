/**
 * `/v1/decisions/stream`: what is decided, as it is decided, as server-sent events. Each client
 * has a bounded queue; who reads too slowly is told so and let go.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import type { AuditEntry } from "../audit/entry.ts";
import type { Feed } from "../audit/feed.ts";
import { followChains } from "../audit/follow.ts";
import { isWanted, isWantedEntry, type RecordFilter } from "../audit/search.ts";
import { inTime } from "../lib/in-time.ts";
import { jsonLine } from "../lib/json-line.ts";
import type { Anchor } from "../store/store.ts";
import type { Admin } from "./admin.ts";
import { filterOf, filters, shownRecord } from "./decisions.ts";
import { endpoint } from "./endpoint.ts";
import { ProblemError } from "./problem.ts";

/** Tells a client that is gone from one for whom there is nothing. */
const HEARTBEAT_MS = 15_000;
/** A client that has taken nothing for so long, heartbeats included, is cut off. */
const STUCK_SECONDS = 60;
const PACE_MS = 25;
/** Once all is said, for the client to read it. */
const LAST_WORDS_SECONDS = 10;
const MOST_STORE_FOLLOWERS = 16;

export const streamEndpoint = endpoint({
  method: "GET",
  path: "/v1/decisions/stream",
  summary: "Decisions as they are made, as server-sent events",
  query: Type.Object(
    {
      ...filters,
      source: Type.Optional(
        Type.Union([Type.Literal("gate"), Type.Literal("store")], {
          description:
            "gate: this gate's, at once; store: of every gate of the store, within a second",
        }),
      ),
    },
    { additionalProperties: false },
  ),
  answers: "text/event-stream",
  async answer(admin, { query, request, setIdleLimit }) {
    const { source = "gate", ...asked } = query;
    // Of a gate of several processes, this one knows but its own decisions.
    const isFromStore = source === "store" || admin.countAll !== undefined;
    const filter = filterOf(asked);
    const stop = new AbortController();
    const ending = AbortSignal.any([request.signal, admin.ending, stop.signal]);
    const events = isFromStore
      ? storeEvents(admin, await admin.store.anchors(), filter, ending)
      : gateEvents(admin.gate.decisions, filter, ending);
    // Before the answer's head: what cannot be had is a plain problem.
    const first = await events.next();
    if (first.done) throw new ProblemError("overloaded", undefined, { "Retry-After": "10" });
    setIdleLimit(STUCK_SECONDS);
    const body = bodyOf(first.value, events, {
      onEnd: () => setIdleLimit(LAST_WORDS_SECONDS),
      onCancel: () => stop.abort(),
    });
    // A proxy that gathers answers would keep events from who waits for them.
    const headers = { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" };
    return new Response(body, { headers });
  },
});

/** Asked for more only when the client has read; so a slow one leaves its queue to fill. */
function bodyOf(
  first: string,
  events: AsyncGenerator<string>,
  { onEnd, onCancel }: { readonly onEnd: () => void; readonly onCancel: () => void },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let isFirst = true;
  return new ReadableStream(
    {
      async pull(controller) {
        if (isFirst) {
          isFirst = false;
          controller.enqueue(encoder.encode(first));
          return;
        }
        const { done, value } = await events.next();
        if (done) {
          onEnd();
          controller.close();
        } else controller.enqueue(encoder.encode(value));
      },
      async cancel() {
        onCancel();
        await events.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

const OPENED = ": open\n\n";

/** @returns Nothing at all when there are too many clients. */
async function* gateEvents(
  feed: Feed,
  filter: RecordFilter,
  ending: AbortSignal,
): AsyncGenerator<string> {
  const subscription = feed.subscribe((entry) => isWantedEntry(entry, filter));
  if (subscription === undefined) return;
  ending.addEventListener("abort", subscription.close, { once: true });
  try {
    yield OPENED;
    let coming = subscription.next();
    for (;;) {
      const news = await orHeartbeat(coming);
      if (news === "heartbeat") {
        yield ": still here\n\n";
        continue;
      }
      if (news === "closed") return;
      if (news === "slow") {
        yield DROPPED;
        return;
      }
      yield news.map(eventOf).join("");
      // Under load: fewer and larger pieces, and the gate's own work in between.
      await Bun.sleep(PACE_MS);
      coming = subscription.next();
    }
  } finally {
    ending.removeEventListener("abort", subscription.close);
    subscription.close();
  }
}

/** Read by places in the chains, so that nothing piles up for a slow client. */
async function* storeEvents(
  { store, standing }: Pick<Admin, "store" | "standing">,
  from: readonly Anchor[],
  filter: RecordFilter,
  ending: AbortSignal,
): AsyncGenerator<string> {
  if (standing.storeFollowers >= MOST_STORE_FOLLOWERS) return;
  standing.storeFollowers += 1;
  let lost: string | undefined;
  const onLost = ({ message }: Error) => {
    lost = message;
  };
  const pages = followChains(store, from, ending, onLost);
  try {
    yield OPENED;
    let coming = pages.next();
    for (;;) {
      const news = await orHeartbeat(coming);
      if (lost !== undefined) {
        yield `event: store_lost\ndata: ${jsonLine({ code: "store_unavailable" })}\n\n`;
        lost = undefined;
      }
      if (news === "heartbeat") {
        yield ": still here\n\n";
        continue;
      }
      if (news.done) return;
      const wanted = news.value.filter((record) => isWanted(record, filter));
      if (wanted.length > 0) yield wanted.map(shownRecord).map(eventOf).join("");
      coming = pages.next();
    }
  } finally {
    standing.storeFollowers -= 1;
  }
}

function orHeartbeat<T>(coming: Promise<T>): Promise<T | "heartbeat"> {
  return inTime(coming, HEARTBEAT_MS, () => "heartbeat" as const);
}

const DROPPED = `event: dropped\ndata: ${JSON.stringify({
  code: "too_slow",
  detail: "more came than was read; connect again, and ask /v1/decisions for what is missing",
})}\n\n`;

type Told = Pick<AuditEntry, "kind"> | { readonly kind: "damaged" };

/** Made once for all clients. */
const texts = new WeakMap<Told, string>();

/** One line of JSON cannot hold a line end, and so no other event. */
function eventOf(entry: Told): string {
  const before = texts.get(entry);
  if (before !== undefined) return before;
  const id = "requestId" in entry ? `id: ${entry.requestId}\n` : "";
  const text = `event: ${entry.kind}\n${id}data: ${jsonLine(entry)}\n\n`;
  texts.set(entry, text);
  return text;
}

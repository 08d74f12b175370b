/**
 * A token's past, as policies see it: frozen, and read once for all policies of a decision.
 *
 * @module
 */
import type { History, Trace } from "../types.ts";
import type { TokenHistory } from "./definition.ts";
import type { Question } from "./input.ts";

/** The past of a token that was never seen before. */
const NEVER_SEEN: History = Object.freeze({
  firstMs: 0,
  lastMs: 0,
  requests: 0,
  denials: 0,
  deniedInRow: 0,
  lastMinute: 0,
  busiestMinute: 0,
  addresses: [],
  devices: [],
});

const pasts = new WeakMap<Question, Promise<TokenHistory>>();
/** Those that the ledger has not told yet. */
const underWay = new WeakSet<Question>();

/**
 * The past of the token in question; asked for once, however many policies look at it.
 *
 * @returns Rejects with whatever the ledger throws, which closes the gate for this request.
 */
export function pastOf(question: Question): Promise<TokenHistory> {
  let past = pasts.get(question);
  if (past === undefined) {
    const { nowMs } = question.inquiry;
    const read = question.history ?? (async () => NEVER_SEEN);
    past = (async () => historyView(await read(), nowMs))();
    underWay.add(question);
    const end = () => void underWay.delete(question);
    // A policy that does not wait for it must not take the process down.
    past.then(end, end);
    pasts.set(question, past);
  }
  return past;
}

/** The past that was asked for and is not told yet: that takes the ledger's time, not a policy's. */
export function pastUnderWay(question: Question): Promise<TokenHistory> | undefined {
  return underWay.has(question) ? pasts.get(question) : undefined;
}

/** Dates are made at each look, as nothing can freeze a Date. @param nowMs For a token never seen before. */
function historyView(history: History, nowMs: number): TokenHistory {
  const { requests, denials, deniedInRow, lastMinute, busiestMinute, signedOutMs } = history;
  const isNew = requests === 0 && denials === 0;
  const view = dated(isNew ? { firstMs: nowMs, lastMs: nowMs } : history, {
    requests,
    denials,
    deniedInRow,
    lastMinute,
    busiestMinute,
    addresses: Object.freeze(history.addresses.map(addressView)),
    devices: Object.freeze(history.devices.map(deviceView)),
  });
  if (signedOutMs !== undefined) {
    Object.defineProperty(view, "signedOut", {
      enumerable: true,
      get: () => new Date(signedOutMs),
    });
  }
  return Object.freeze(view);
}

function addressView(trace: Trace): TokenHistory["addresses"][number] {
  const { name, requests, country, location } = trace;
  return Object.freeze(
    dated(trace, {
      ip: name,
      requests,
      ...(country !== undefined && { country }),
      ...(location !== undefined && { location: Object.freeze({ ...location }) }),
    }),
  );
}

function deviceView(trace: Trace): TokenHistory["devices"][number] {
  const { name, requests } = trace;
  return Object.freeze(dated(trace, { name, requests }));
}

type Dates = { readonly firstSeen: Date; readonly lastSeen: Date };

function dated<T extends object>(
  { firstMs, lastMs }: Pick<Trace, "firstMs" | "lastMs">,
  rest: T,
): T & Dates {
  return Object.defineProperties(rest, {
    firstSeen: { enumerable: true, get: () => new Date(firstMs) },
    lastSeen: { enumerable: true, get: () => new Date(lastMs) },
  }) as T & Dates;
}

/**
 * Counts what a replay finds, in memory that does not grow with the decisions.
 *
 * @module
 */
import type { DecisionEntry } from "../../audit/entry.ts";
import type { Judgement, Replayed } from "../../gate/replay.ts";

/** One decision, as it was and as it would be. */
export type Change = {
  readonly requestId: string;
  readonly at: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** By the rules at hand, else as it was recorded. */
  readonly route: string | null;
  readonly subject: string | null;
  readonly before: Judgement;
  /** Absent where it is unknown. */
  readonly after?: Judgement;
  /** What the audit did not keep: `claim department`. */
  readonly lacking?: readonly string[];
};

/** Decisions of one kind. */
export type Group = {
  count: number;
  /** The latest, at most as many as were asked for. */
  readonly examples: Change[];
  readonly byRoute: Counter;
  readonly byCode: Counter;
  readonly bySubject: Counter;
};

export type Counter = Map<string, number>;

export type Tally = {
  decisions: number;
  unchanged: number;
  /** Of the unchanged: denied then and now, for another reason. */
  deniedOtherwise: number;
  readonly newlyDenied: Group;
  readonly newlyAllowed: Group;
  readonly unknown: Group;
  /** In how many decisions each was missing. */
  readonly lacking: Counter;
  /** What policies under shadow would not have let pass: `new-rule (role_missing)`. */
  readonly shadow: Counter;
  /** Records that were tampered with. */
  damaged: number;
};

/** Names beyond these are counted together. */
const MOST_NAMES = 10_000;
export const OTHERS = "(others)";

export function openTally(): Tally {
  return {
    decisions: 0,
    unchanged: 0,
    deniedOtherwise: 0,
    newlyDenied: emptyGroup(),
    newlyAllowed: emptyGroup(),
    unknown: emptyGroup(),
    lacking: new Map(),
    shadow: new Map(),
    damaged: 0,
  };
}

function emptyGroup(): Group {
  const counters = { byRoute: new Map(), byCode: new Map(), bySubject: new Map() };
  return { count: 0, examples: [], ...counters };
}

/** @param most How many examples of each kind are kept. */
export function tallyUp(
  tally: Tally,
  entry: DecisionEntry,
  replayed: Replayed,
  most: number,
): void {
  tally.decisions += 1;
  const { before, after, lacking, shadow } = replayed;
  for (const { name, verdict, code } of shadow) {
    if (verdict !== "allow") count(tally.shadow, `${name} (${code ?? verdict})`);
  }
  if (lacking.length > 0) {
    for (const what of lacking) count(tally.lacking, what);
    add(tally.unknown, changeOf(entry, replayed), before, most);
  } else if (before.decision === after.decision) {
    tally.unchanged += 1;
    if (before !== after && codeOf(before) !== codeOf(after)) tally.deniedOtherwise += 1;
  } else if (after.decision === "deny") {
    add(tally.newlyDenied, changeOf(entry, replayed), after, most);
  } else add(tally.newlyAllowed, changeOf(entry, replayed), before, most);
}

function changeOf(
  { requestId, at, method, host, path, token, ...entry }: DecisionEntry,
  { before, after, route, lacking }: Replayed,
): Change {
  return {
    requestId,
    at,
    method,
    host,
    path,
    route: route ?? entry.route ?? null,
    subject: token?.subject ?? null,
    before,
    ...(lacking.length === 0 ? { after } : { lacking }),
  };
}

function add(group: Group, change: Change, judged: Judgement, most: number): void {
  group.count += 1;
  count(group.byRoute, change.route ?? "no route");
  count(group.byCode, codeOf(judged));
  count(group.bySubject, change.subject ?? "nobody known");
  if (group.examples.length < most) group.examples.push(change);
}

/** @returns `policy_denied · staff: role_missing`. */
export function codeOf({ decision, code, policy, reason }: Judgement): string {
  if (decision === "forward") return "forwarded";
  const why = reason === undefined || reason === code ? "" : reason;
  const parts = [policy, why === "" ? undefined : why].filter((part) => part !== undefined);
  return parts.length === 0 ? (code ?? "denied") : `${code ?? "denied"} · ${parts.join(": ")}`;
}

function count(counter: Counter, name: string): void {
  const key = counter.has(name) || counter.size < MOST_NAMES ? name : OTHERS;
  counter.set(key, (counter.get(key) ?? 0) + 1);
}

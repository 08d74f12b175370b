/**
 * Asks the policies of a program. Nothing is applied here: what a verdict obliges to is
 * handed back with it.
 *
 * The tree is walked with the answers known so far, and walked again from its beginning when
 * an asynchronous policy has answered. One guarded run covers as many policies as answer at
 * once, because a guarded run costs more than most policies.
 *
 * @module
 */

import type { TSchema } from "@sinclair/typebox";
import { byteString } from "../lib/byte-string.ts";
import type { PolicyOutcome, RateLimit } from "../types.ts";
import type { Leaf, Node, Program } from "./compose.ts";
import type { PolicyInput } from "./definition.ts";
import { threw, timedOut } from "./fault.ts";
import { freezeDeeply } from "./freeze.ts";
import { runGuarded } from "./guard.ts";
import { pastUnderWay } from "./history.ts";
import { LazyInput, type Question } from "./input.ts";
import { scopes } from "./scope.ts";
import { NO_HEADERS, type Verdict as PolicyVerdict, readVerdict } from "./verdict.ts";

/** What a route's policies come to; it has the shape of one policy's. */
export type Verdict = PolicyVerdict;

export type Evaluation = {
  readonly verdict: Verdict;
  /** Every policy that was asked, in order. */
  readonly outcomes: readonly PolicyOutcome[];
};

/**
 * A verdict within the tree. `not` may turn a denial only if it is `own`: what policies
 * themselves decided. `instead` is what closes below a failed `any` whose last denial is own.
 */
type Answer = Verdict & { readonly own?: boolean; readonly instead?: Answer };

const ALLOW: Answer = Object.freeze({ kind: "allow", headers: NO_HEADERS });
/** How long others may hold the thread before an answer that is there already counts as late. */
const HELD_BY_OTHERS_MS = 1_000;
/** More than the ledger allows itself to tell a token's past. */
const LEDGER_MS = 5_000;
/** How much of a guarded run may be used up before it is renewed for the next policy. */
const SLICE_MS = 1;

/**
 * @param timeoutMs For each policy.
 * @returns At once, unless a policy is asynchronous.
 */
export function evaluate(
  program: Program,
  question: Question,
  timeoutMs: number,
): Evaluation | Promise<Evaluation> {
  const asking = new Asking(program, question, timeoutMs);
  return asking.advance() ?? finish(asking);
}

async function finish(asking: Asking): Promise<Evaluation> {
  const { graph } = asking.program.set;
  graph.begin();
  try {
    for (;;) {
      await asking.awaitPending();
      const evaluation = asking.advance();
      if (evaluation !== undefined) return evaluation;
    }
  } finally {
    graph.end();
  }
}

type Pending = {
  readonly leaf: Leaf;
  readonly input: LazyInput;
  readonly answer: PromiseLike<unknown>;
};

/** One evaluation under way. */
class Asking {
  readonly #answers: (Answer | undefined)[] = [];
  readonly #outcomes: PolicyOutcome[] = [];
  readonly #fits: (boolean | undefined)[];
  /** The policy that has the word; who is to blame if the run is cut. */
  #asked: Leaf | undefined;
  #pending: Pending | undefined;
  #verdict: Answer | undefined;
  /** When the guarded run began, and when the policy that has the word got it. */
  #runBegan = 0;
  #askedAt = 0;

  constructor(
    readonly program: Program,
    readonly question: Question,
    readonly timeoutMs: number,
  ) {
    const { claims } = question.token;
    let fits = program.fits.get(claims);
    if (fits === undefined) {
      fits = [];
      program.fits.set(freezeDeeply(claims), fits);
    }
    this.#fits = fits;
  }

  /**
   * Asks until all is decided or a policy makes us wait.
   *
   * @returns `undefined` if one does.
   */
  advance(): Evaluation | undefined {
    const { graph } = this.program.set;
    const limitMs = Math.ceil(this.timeoutMs) + SLICE_MS;
    while (this.#verdict === undefined && this.#pending === undefined) {
      this.#runBegan = this.#askedAt = performance.now();
      this.#asked = undefined;
      if (graph.run(() => runGuarded(this.#walkAll, limitMs)) === "cut") this.#blameAsked();
    }
    if (this.#verdict === undefined) return undefined;
    return { verdict: concluded(this.#verdict), outcomes: this.#outcomes };
  }

  /** Waits for the pending policy's answer, or for its time to be up. */
  async awaitPending(): Promise<void> {
    const pending = this.#pending;
    if (pending === undefined) return;
    const { leaf, input, answer } = pending;
    const { name } = leaf.policy;
    await this.#waitForPast(answer);
    let settled = await settledWithin(answer, this.#leftMs());
    if (settled === "late" && (await this.#waitForPast(answer))) {
      settled = await settledWithin(answer, this.#leftMs());
    }
    // A policy may also have held the thread until after its time. That cannot be told from a
    // thread that others held (a reload, a busy machine), so an answer that came first counts.
    const late = this.#leftMs() + HELD_BY_OTHERS_MS < 0;
    this.#pending = undefined;
    if (settled === "late" || late) {
      LazyInput.expire(input);
      this.#record(leaf, timedOut(name, this.timeoutMs));
    } else if ("error" in settled) this.#record(leaf, threw(name, settled.error, this.question));
    else this.#record(leaf, readVerdict(name, settled.value));
  }

  /** What the ledger takes is not the policy's: its time begins anew once the past is told. */
  async #waitForPast(answer: PromiseLike<unknown>): Promise<boolean> {
    const past = pastUnderWay(this.question);
    if (past === undefined) return false;
    await settledWithin(Promise.race([past, answer]), LEDGER_MS);
    this.#askedAt = performance.now();
    return true;
  }

  #leftMs(): number {
    return this.timeoutMs - (performance.now() - this.#askedAt);
  }

  readonly #walkAll = (): void => {
    this.#verdict = this.#walk(this.program.root);
  };

  /** @returns `undefined` if it cannot be told yet: a policy is pending, or the run is to be renewed. */
  #walk(node: Node): Answer | undefined {
    switch (node.kind) {
      case "policy":
        return this.#answers[node.index] ?? this.#ask(node);
      case "all":
        return this.#walkEvery(node.of);
      case "any":
        return this.#walkAny(node.of);
      case "not": {
        const answer = this.#walk(node.of);
        return answer && negated(answer, node.name);
      }
      case "shadow":
        return this.#walk(node.of) && ALLOW;
    }
  }

  #walkEvery(nodes: readonly Node[]): Answer | undefined {
    let headers = NO_HEADERS;
    let rateLimits: readonly RateLimit[] | undefined;
    for (const node of nodes) {
      const answer = this.#walk(node);
      if (answer === undefined) return undefined;
      if (node.neutral) continue;
      if (answer.kind !== "allow") return answer;
      headers = merged(headers, answer.headers);
      if (answer.rateLimits !== undefined) {
        rateLimits =
          rateLimits === undefined ? answer.rateLimits : [...rateLimits, ...answer.rateLimits];
      }
    }
    if (rateLimits !== undefined) return { kind: "allow", headers, rateLimits };
    return headers === NO_HEADERS ? ALLOW : { kind: "allow", headers };
  }

  #walkAny(nodes: readonly Node[]): Answer | undefined {
    let last: Answer | undefined;
    let firm: Answer | undefined;
    for (const node of nodes) {
      const answer = this.#walk(node);
      if (answer === undefined) return undefined;
      if (node.neutral) continue;
      if (answer.kind === "allow" || answer.kind === "fault") return answer;
      last = answer;
      if (!answer.own) firm = answer.instead ?? answer;
    }
    if (last === undefined) return ALLOW; // all neutral: so is this node
    return firm === undefined || !last.own ? last : { ...last, own: false, instead: firm };
  }

  #ask(leaf: Leaf): Answer | undefined {
    const { policy, index } = leaf;
    // The limit is each policy's: what others have used of this run must not count.
    if (this.#asked !== undefined && this.#askedAt - this.#runBegan > SLICE_MS) return undefined;
    this.#asked = leaf;
    const { claims } = this.question.token;
    this.#fits[index] ??= policy.claimsSchema?.check(claims) ?? true;
    if (!this.#fits[index]) return this.#record(leaf, mismatch(policy.name));

    const { question, timeoutMs } = this;
    const input = new LazyInput(question, policy.name, leaf.options);
    try {
      const scope = { policy, question, timeoutMs };
      const answer = scopes.run(scope, policy.evaluate, input as PolicyInput<TSchema, TSchema>);
      if (!isThenable(answer)) return this.#record(leaf, readVerdict(policy.name, answer));
      this.#pending = { leaf, input, answer };
      return undefined;
    } catch (error) {
      return this.#record(leaf, threw(policy.name, error, this.question));
    }
  }

  /** The run was cut: the policy that had the word took too long. */
  #blameAsked(): void {
    const leaf = this.#asked;
    // Between two policies nobody is to blame: the next run goes on where this one was cut.
    if (leaf === undefined || this.#answers[leaf.index] !== undefined) return;
    this.#pending = undefined;
    this.#record(leaf, timedOut(leaf.policy.name, this.timeoutMs));
  }

  #record(leaf: Leaf, verdict: Answer): Answer {
    const now = performance.now();
    const answer = verdict.kind === "deny" ? { own: true, ...verdict } : verdict;
    this.#answers[leaf.index] = answer;
    this.#outcomes.push(outcomeOf(leaf, verdict, now - this.#askedAt));
    this.#askedAt = now;
    return answer;
  }
}

function mismatch(policy: string): Answer {
  const detail = "the token's claims do not fit the policy's schema";
  return { kind: "deny", policy, code: "claims_mismatch", detail, own: false };
}

function negated(answer: Answer, name: string): Answer {
  switch (answer.kind) {
    case "allow":
      return {
        kind: "deny",
        policy: name,
        code: "negated",
        detail: "allowed, under not",
        own: true,
      };
    case "deny":
      return answer.own ? ALLOW : (answer.instead ?? answer);
    default:
      return answer;
  }
}

/** Of two headers of one name, in whatever case, the later wins. */
function merged(
  first: Readonly<Record<string, string>>,
  later: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (later === NO_HEADERS) return first;
  const byName = new Map<string, readonly [string, string]>();
  for (const headers of [first, later]) {
    for (const entry of Object.entries(headers)) byName.set(entry[0].toLowerCase(), entry);
  }
  return Object.fromEntries(byName.values());
}

/** The answer without what only the tree needs. */
function concluded(answer: Answer): Verdict {
  if (answer.kind === "allow") {
    const { headers, rateLimits } = answer;
    if (rateLimits === undefined && headers === NO_HEADERS) return ALLOW;
    const own = headers === NO_HEADERS ? headers : encoded(headers);
    return { kind: "allow", headers: own, ...(rateLimits && { rateLimits }) };
  }
  const { own: _own, instead: _instead, ...rest } = answer;
  if (rest.kind === "fault" || rest.unusual === undefined) return rest;
  const { unusual: _unusual, ...verdict } = rest;
  return verdict;
}

/** Header values as byte strings: UTF-8, one code unit a byte, as identity headers go. */
function encoded(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).map(([name, value]) => [name, byteString(value)]);
  return Object.fromEntries(entries);
}

function outcomeOf(leaf: Leaf, verdict: Verdict, exactMs: number): PolicyOutcome {
  // Microseconds: no clock here is more exact, and records are read by people.
  const ms = Math.round(exactMs * 1_000) / 1_000;
  const { shadow, policy, notes } = leaf;
  const unusual = notes && verdict.kind !== "fault" ? verdict.unusual : undefined;
  const outcome = {
    name: policy.name,
    verdict: verdict.kind,
    ms,
    shadow,
    ...(unusual !== undefined && { unusual }),
  };
  switch (verdict.kind) {
    case "deny":
    case "fault": {
      const { code, detail } = verdict;
      return detail === undefined ? { ...outcome, code } : { ...outcome, code, detail };
    }
    case "allow": {
      const { detail } = verdict;
      return detail === undefined ? outcome : { ...outcome, detail };
    }
    case "challenge":
      return outcome;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  const maybe = typeof value === "object" && value !== null && "then" in value;
  return maybe && typeof value.then === "function";
}

type Settled = { readonly value: unknown } | { readonly error: unknown };

/** Never rejects. A promise that is late stays handled: its end is nobody's business any more. */
function settledWithin(answer: PromiseLike<unknown>, limitMs: number): Promise<Settled | "late"> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("late"), Math.max(0, limitMs));
    const settle = (settled: Settled) => {
      clearTimeout(timer);
      resolve(settled);
    };
    Promise.resolve(answer).then(
      (value) => settle({ value }),
      (error: unknown) => settle({ error }),
    );
  });
}

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
import { inTime } from "../lib/in-time.ts";
import type { PolicyOutcome, RateLimit } from "../types.ts";
import { ALLOW, type Answer, concluded, merged, mismatch, negated, outcomeOf } from "./answer.ts";
import type { Leaf, Node, Program } from "./compose.ts";
import type { PolicyInput } from "./definition.ts";
import { threw, timedOut } from "./fault.ts";
import { freezeDeeply } from "./freeze.ts";
import { runGuarded } from "./guard.ts";
import { pastUnderWay } from "./history.ts";
import { LazyInput, type Question } from "./input.ts";
import { scopes } from "./scope.ts";
import { NO_HEADERS, readVerdict, type Verdict } from "./verdict.ts";

export type Evaluation = {
  readonly verdict: Verdict;
  /** Every policy that was asked, in order. */
  readonly outcomes: readonly PolicyOutcome[];
};

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

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  const maybe = typeof value === "object" && value !== null && "then" in value;
  return maybe && typeof value.then === "function";
}

type Settled = { readonly value: unknown } | { readonly error: unknown };

/** Never rejects. A promise that is late stays handled: its end is nobody's business any more. */
function settledWithin(answer: PromiseLike<unknown>, limitMs: number): Promise<Settled | "late"> {
  const settled = Promise.resolve(answer).then(
    (value): Settled => ({ value }),
    (error: unknown): Settled => ({ error }),
  );
  return inTime(settled, Math.max(0, limitMs), () => "late" as const);
}

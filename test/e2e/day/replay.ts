/** Sends a day's requests to a gate, in their order and by its clock, and keeps what it answered. */
import type { Signer } from "../../support/signer.ts";
import type { Clock } from "./clock.ts";
import { type Cause, type Credential, type Day, userAgentOf, type Visit } from "./model.ts";

/** The clock waits for what is under way: no request meets it later than this. */
const WINDOW_MS = 2_000;
const MOST_VISITS = 128;
const FORGOTTEN_AT = 10_000;
/** Those of one visit that are under way at once. */
const MOST_AT_ONCE = 30;

export const ISSUER = "https://id.example";
export const AUDIENCE = "day";

export type Theft = {
  readonly credential: Credential;
  /** Requests of the thief: those that passed, and those that were refused. */
  passed: number;
  refused: number;
  /** Of the thief's requests or its owner's: refused as revoked. */
  revoked: number;
  /** Requests with it that passed after one that was refused as revoked. Must be none. */
  passedSince: number;
};

export type Outcome = {
  readonly sent: number;
  /** By `wiki 200`, `crm 401 token_revoked`, `(none) 404 route_not_found`. */
  readonly answers: ReadonlyMap<string, number>;
  /** The same by what caused them. */
  readonly caused: ReadonlyMap<Cause, ReadonlyMap<string, number>>;
  readonly thefts: readonly Theft[];
  /** Ordinary people who were refused though nothing was wrong: subject, and with what. */
  readonly disturbed: ReadonlyMap<string, string>;
  readonly tokens: number;
};

type Target = {
  readonly url: string;
  readonly clock: Clock;
  readonly signer: Signer;
  readonly forger: Signer;
};

export async function replay(day: Day, target: Target): Promise<Outcome> {
  const run = new Replay(target, day.thefts);
  const underWay: { readonly atMs: number; readonly done: Promise<void> }[] = [];
  let first = 0;
  for (const visit of day.visits) {
    for (;;) {
      const oldest = underWay[first];
      if (oldest === undefined) break;
      const isLate = oldest.atMs < visit.atMs - WINDOW_MS;
      if (!isLate && underWay.length - first < MOST_VISITS) break;
      await oldest.done;
      first += 1;
    }
    if (first > FORGOTTEN_AT) {
      underWay.splice(0, first);
      first = 0;
    }
    target.clock.advanceTo(visit.atMs);
    underWay.push({ atMs: visit.atMs, done: run.visit(visit) });
  }
  await Promise.all(underWay.slice(first).map(({ done }) => done));
  return run.outcome();
}

/** No route has it, or none in that way; or its address was refused before any was looked for. */
const UNROUTED: ReadonlySet<number> = new Set([404, 405, 429]);

type Answer = { readonly status: number; readonly code?: string };

class Replay {
  #sent = 0;
  readonly #answers = new Map<string, number>();
  readonly #caused = new Map<Cause, Map<string, number>>();
  readonly #disturbed = new Map<string, string>();
  readonly #thefts: ReadonlyMap<Credential, Theft>;
  readonly #tokens = new Map<Credential, Promise<string>>();
  /** Of owners who have signed in again, since the token was refused. */
  readonly #renewed = new Map<Credential, Credential>();
  /** The requests of one token come one after the other. */
  readonly #lanes = new Map<Credential, Promise<void>>();

  constructor(
    readonly target: Target,
    thefts: readonly Credential[],
  ) {
    this.#thefts = new Map(
      thefts.map((credential) => [
        credential,
        { credential, passed: 0, refused: 0, revoked: 0, passedSince: 0 },
      ]),
    );
  }

  visit(visit: Visit): Promise<void> {
    const { credential } = visit;
    if (credential === undefined) return this.#send(visit);
    const before = this.#lanes.get(credential);
    const done = before === undefined ? this.#send(visit) : before.then(() => this.#send(visit));
    this.#lanes.set(credential, done);
    return done;
  }

  async #send(visit: Visit): Promise<void> {
    const { credential, by } = visit;
    const used =
      credential && by === "owner" ? (this.#renewed.get(credential) ?? credential) : credential;
    const headers: Record<string, string> = {
      "X-Forwarded-For": visit.ip,
      "User-Agent": userAgentOf(visit),
    };
    if (used !== undefined) headers.Authorization = `Bearer ${await this.#tokenOf(used)}`;
    for (let left = visit.count; left > 0; left -= MOST_AT_ONCE) {
      const length = Math.min(left, MOST_AT_ONCE);
      const answers = await Promise.all(Array.from({ length }, () => this.#ask(visit, headers)));
      const theft = used && this.#thefts.get(used);
      if (theft !== undefined) noteTheft(theft, by, answers);
      for (const answer of answers) this.#note(visit, used, answer);
    }
  }

  async #ask({ method, path }: Visit, headers: Record<string, string>): Promise<Answer> {
    const response = await fetch(`${this.target.url}${path}`, { method, headers });
    const { status } = response;
    if (status < 400) {
      await response.arrayBuffer();
      return { status };
    }
    const { code } = (await response.json()) as { readonly code: string };
    return { status, code };
  }

  #note(visit: Visit, used: Credential | undefined, answer: Answer): void {
    const { credential, by, cause } = visit;
    const words = [answer.status, answer.code].filter(Boolean).join(" ");
    this.#sent += 1;
    const route = UNROUTED.has(answer.status) ? "(none)" : visit.path.split("/")[1];
    count(this.#answers, `${route} ${words}`);
    if (cause !== undefined) {
      const counts = this.#caused.get(cause) ?? new Map<string, number>();
      this.#caused.set(cause, counts);
      count(counts, words);
    }
    if (by !== "owner" || credential === undefined || cause !== undefined) return;
    if (answer.status < 400) return;
    const isStolen = used === credential && this.#thefts.has(credential);
    if (!isStolen) this.#disturbed.set(credential.subject, words);
    if (answer.code === "token_revoked" || answer.code === "step_up_required")
      this.#renew(credential);
  }

  #renew(credential: Credential): void {
    const { theft: _, ...own } = credential;
    this.#renewed.set(credential, { ...own, issuedMs: this.target.clock.now() - 1_000 });
  }

  #tokenOf(credential: Credential): Promise<string> {
    let token = this.#tokens.get(credential);
    if (token === undefined) {
      const { subject, roles, issuedMs, lifetimeMs, forged } = credential;
      const iat = Math.floor(issuedMs / 1_000);
      const exp = iat + Math.round(lifetimeMs / 1_000);
      const jti = `${subject}-${this.#tokens.size}`;
      const claims = { iss: ISSUER, aud: AUDIENCE, sub: subject, roles: [...roles], jti, iat, exp };
      token = (forged ? this.target.forger : this.target.signer).sign({
        ...claims,
        auth_time: iat,
      });
      this.#tokens.set(credential, token);
    }
    return token;
  }

  outcome(): Outcome {
    return {
      sent: this.#sent,
      answers: this.#answers,
      caused: this.#caused,
      thefts: [...this.#thefts.values()],
      disturbed: this.#disturbed,
      tokens: this.#tokens.size,
    };
  }
}

/** @param answers Of requests that were under way together. */
function noteTheft(theft: Theft, by: Visit["by"], answers: readonly Answer[]): void {
  const passed = answers.filter(({ status }) => status < 400).length;
  if (theft.revoked > 0) theft.passedSince += passed;
  theft.revoked += answers.filter(({ code }) => code === "token_revoked").length;
  if (by !== "thief") return;
  theft.passed += passed;
  theft.refused += answers.length - passed;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

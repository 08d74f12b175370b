/**
 * Faults: something is broken and the gate closes. A denial is never one of these
 * (see `Denial` in `types.ts`).
 *
 * @module
 */

/** Stable codes; an operator may search for them, so they are never renamed. */
export type FaultCode =
  | "config_invalid" // what the owner wrote does not hold; carries findings
  | "usage_wrong" // a command was called wrongly
  | "port_taken" // the listen address is in use or not ours to use
  | "state_unusable" // a file of ours cannot be read or written
  | "keys_unavailable" // no key of an issuer is at hand
  | "keys_refused" // an issuer's answer breaks the bounds of a JWKS or its discovery
  | "revocations_full" // as many are in force as are kept; none is dropped for another
  | "policy_fault" // a policy threw, ran out of time or answered nonsense
  | "store_unavailable" // the store cannot be reached, opened or written just now
  | "store_damaged" // what lies in the store cannot be read, is not ours, or is newer than we know
  | "upstream_unreachable"
  | "upstream_timeout"
  | "internal_fault";

/**
 * The one error the project throws. `message` says what happened and what to do,
 * in one line, and never holds a token, a secret or a claim.
 */
export class GateError extends Error {
  override readonly name = "GateError";

  /**
   * @param code Stable and searchable.
   * @param message For the operator; one line, no final period.
   * @param options `cause` keeps the original error; `findings` the places to mend.
   */
  constructor(
    readonly code: FaultCode,
    message: string,
    options: { cause?: unknown; findings?: readonly Finding[] } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.findings = options.findings ?? [];
  }

  readonly findings: readonly Finding[];
}

/** One thing wrong with what the owner wrote, and where. `line` and `column` start at 1. */
export type Finding = {
  readonly severity: "error" | "warning";
  /** Stable, snake_case: `key_unknown`, `policy_missing`, … */
  readonly code: string;
  readonly message: string;
  /** Path as the owner would type it (relative to the working directory where that is shorter). */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What to do, as an imperative without final period. */
  readonly fix?: string;
};

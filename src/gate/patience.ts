/**
 * How long a client's connection may be idle while its request is under way. An upstream may
 * think longer about its answer than a connection may otherwise be idle; a client may not.
 *
 * @module
 */

/** Bun's own bound on what `idleTimeout` and `timeout()` take. */
const IDLE_LIMIT_SECONDS = 255;
const UNLIMITED = 0;

/** As Bun counts it: whole seconds, at most 255. */
export function idleSeconds(idleTimeoutMs: number): number {
  return Math.min(IDLE_LIMIT_SECONDS, Math.ceil(idleTimeoutMs / 1000));
}

type Patience = {
  /** We wait for the upstream: the route's own limit ends that. */
  readonly forUpstream: () => void;
  /** We wait for the client's body: silence ends that. */
  readonly forClient: () => void;
  /** Silence never counts again: an event stream. */
  readonly holdOpen: () => void;
  /** The answer has begun, or is ours: from now on silence counts, after the answer, too. */
  readonly end: () => void;
};

/** @param setTimeoutSeconds Of the request's connection; 0 is no limit. */
export function openPatience(
  setTimeoutSeconds: (seconds: number) => void,
  idleTimeoutMs: number,
): Patience {
  let isOver = false;
  const set = (seconds: number) => {
    if (!isOver) setTimeoutSeconds(seconds);
  };
  set(UNLIMITED);
  return {
    forUpstream: () => set(UNLIMITED),
    forClient: () => set(idleSeconds(idleTimeoutMs)),
    holdOpen() {
      set(UNLIMITED);
      isOver = true;
    },
    end() {
      set(idleSeconds(idleTimeoutMs));
      isOver = true;
    },
  };
}

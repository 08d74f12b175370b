/**
 * Lets so many in at once, and so many of each kind; the others wait in turn.
 *
 * @module
 */

type Turnstile = {
  /**
   * Waits for a place.
   *
   * @returns To be called once, to leave. Rejects if `signal` aborts first, or if too many wait.
   */
  enter(kind: string, signal: AbortSignal): Promise<() => void>;
};

type Waiting = { readonly kind: string; readonly admit: () => void };

/** @param limits `all` inside at once, `each` of one kind, and so many `waiting`. */
export function openTurnstile(limits: {
  readonly all: number;
  readonly each: number;
  readonly waiting: number;
}): Turnstile {
  const inside = new Map<string, number>();
  const queue = new Set<Waiting>();
  let total = 0;

  const hasRoom = (kind: string) => total < limits.all && (inside.get(kind) ?? 0) < limits.each;

  function take(kind: string): () => void {
    total++;
    inside.set(kind, (inside.get(kind) ?? 0) + 1);
    return () => {
      total--;
      const left = (inside.get(kind) ?? 1) - 1;
      if (left === 0) inside.delete(kind);
      else inside.set(kind, left);
      admitNext();
    };
  }

  function admitNext(): void {
    for (const waiting of queue) {
      if (total >= limits.all) return;
      if (!hasRoom(waiting.kind)) continue;
      queue.delete(waiting);
      waiting.admit();
    }
  }

  return {
    async enter(kind, signal) {
      signal.throwIfAborted();
      if (hasRoom(kind)) return take(kind);
      if (queue.size >= limits.waiting) throw new Error("too many requests of policies wait");
      return await new Promise((resolve, reject) => {
        const giveUp = () => {
          queue.delete(waiting);
          reject(signal.reason);
        };
        const waiting = {
          kind,
          admit: () => {
            signal.removeEventListener("abort", giveUp);
            resolve(take(kind));
          },
        };
        queue.add(waiting);
        signal.addEventListener("abort", giveUp, { once: true });
      });
    },
  };
}

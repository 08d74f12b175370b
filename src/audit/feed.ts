/**
 * Hands each decision, as it is made, to whoever watches. Bounded for each of them: who is too
 * slow is let go, and the gate never waits. Without anybody it costs one comparison.
 *
 * @module
 */
import type { AuditEntry } from "./entry.ts";

export type Feed = {
  publish(entry: AuditEntry): void;
  /**
   * @param isWanted Asked for each entry, on the request's way: it must be quick and never throw.
   * @returns `undefined` when there are too many already.
   */
  subscribe(isWanted: (entry: AuditEntry) => boolean): Subscription | undefined;
  /** Ends all of them. */
  close(): void;
  readonly followers: number;
};

type Subscription = {
  /**
   * Waits for what comes next; one caller at a time.
   *
   * @returns What has come, the oldest first, never nothing; or why there is no more: `slow` when
   *   more had come than is kept, `closed` after a `close`.
   */
  next(): Promise<readonly AuditEntry[] | "slow" | "closed">;
  close(): void;
};

const MOST_FOLLOWERS = 32;
/** What waits for one of them. */
const MOST_WAITING = 5_000;

type Follower = {
  readonly isWanted: (entry: AuditEntry) => boolean;
  waiting: AuditEntry[];
  state: "open" | "slow" | "closed";
  wake: (() => void) | undefined;
};

export function createFeed({ most = MOST_WAITING }: { readonly most?: number } = {}): Feed {
  const followers = new Set<Follower>();

  function end(follower: Follower, state: "slow" | "closed"): void {
    followers.delete(follower);
    if (follower.state === "open") follower.state = state;
    follower.wake?.();
  }

  return {
    publish(entry) {
      if (followers.size === 0) return;
      for (const follower of followers) {
        if (!follower.isWanted(entry)) continue;
        if (follower.waiting.length >= most) end(follower, "slow");
        else {
          follower.waiting.push(entry);
          follower.wake?.();
        }
      }
    },
    subscribe(isWanted) {
      if (followers.size >= MOST_FOLLOWERS) return undefined;
      const follower: Follower = { isWanted, waiting: [], state: "open", wake: undefined };
      followers.add(follower);
      return {
        async next() {
          if (follower.waiting.length === 0 && follower.state === "open") {
            await new Promise<void>((resolve) => {
              follower.wake = resolve;
            });
            follower.wake = undefined;
          }
          if (follower.waiting.length === 0) {
            return follower.state === "slow" ? "slow" : "closed";
          }
          const taken = follower.waiting;
          follower.waiting = [];
          return taken;
        },
        close: () => end(follower, "closed"),
      };
    },
    close() {
      for (const follower of [...followers]) end(follower, "closed");
    },
    get followers() {
      return followers.size;
    },
  };
}

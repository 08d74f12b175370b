/**
 * Questions and answers between the supervisor and a worker, over the channel that Bun opens
 * between a process and its child.
 *
 * @module
 */

/** What one side may be asked: the name, what goes with it, and what comes back. */
export type Questions = Readonly<
  Record<string, { readonly about: unknown; readonly answer: unknown }>
>;

/** They do not reject. */
export type Answers<Q extends Questions> = {
  readonly [K in keyof Q]: (about: Q[K]["about"]) => Q[K]["answer"] | Promise<Q[K]["answer"]>;
};

export type Line<Theirs extends Questions> = {
  /** @returns `undefined` when no answer has come in that time, or none will. */
  ask<K extends keyof Theirs & string>(
    what: K,
    about: Theirs[K]["about"],
    withinMs: number,
  ): Promise<Theirs[K]["answer"] | undefined>;
  /** Each message that arrives. */
  receive(message: unknown): void;
  /** The other side is gone: nobody waits any longer. */
  close(): void;
};

type Message =
  | { readonly kind: "ask"; readonly id: number; readonly what: string; readonly about: unknown }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown };

/** @param answers To what the other side asks. */
export function openLine<Theirs extends Questions, Ours extends Questions>(
  send: (message: object) => void,
  answers: Answers<Ours>,
): Line<Theirs> {
  const waiting = new Map<number, (answer: unknown) => void>();
  let lastId = 0;
  let isClosed = false;

  function post(message: Message): void {
    if (!isClosed) send(message);
  }

  async function answer(id: number, what: string, about: unknown): Promise<void> {
    if (!Object.hasOwn(answers, what)) return;
    post({ kind: "answer", id, answer: await answers[what as keyof Ours](about) });
  }

  return {
    ask(what, about, withinMs) {
      if (isClosed) return Promise.resolve(undefined);
      lastId += 1;
      const id = lastId;
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const timer = setTimeout(resolve, withinMs, undefined);
      waiting.set(id, resolve);
      post({ kind: "ask", id, what, about });
      return promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(id);
      });
    },
    receive(message) {
      const { kind, id, ...rest } = message as Message;
      if (kind === "answer" && "answer" in rest) waiting.get(id)?.(rest.answer);
      if (kind === "ask" && "what" in rest) void answer(id, rest.what, rest.about);
    },
    close() {
      isClosed = true;
      for (const resolve of waiting.values()) resolve(undefined);
    },
  };
}

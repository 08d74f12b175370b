/**
 * Requests without a pause, whatever happens meanwhile.
 *
 * @module
 */

export type Load = {
  /** Answers so far. */
  readonly count: () => number;
  /** Stops sending once `atLeast` have been answered. @returns What did not come out as it must. */
  readonly finish: (atLeast: number) => Promise<readonly string[]>;
};

const CLIENTS = 16;
const REQUEST_LIMIT_MS = 10_000;

/**
 * @param ask Sends one request. @returns What is wrong with its answer, or nothing; a throw is a
 *   failure, too.
 */
export function startLoad(ask: (signal: AbortSignal) => Promise<string | undefined>): Load {
  const failures: string[] = [];
  let answered = 0;
  let wanted = Number.POSITIVE_INFINITY;
  const client = async () => {
    while (answered < wanted) {
      const wrong = await ask(AbortSignal.timeout(REQUEST_LIMIT_MS)).catch(String);
      answered++;
      if (wrong !== undefined) failures.push(wrong);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    count: () => answered,
    async finish(atLeast) {
      wanted = atLeast;
      await clients;
      return failures;
    },
  };
}

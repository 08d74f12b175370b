/**
 * Waits for `work`, but not for ever. The work goes on: whoever can cancel it does so in `onLate`.
 *
 * @param onLate Gives the answer in its place once `limitMs` have passed; what it throws is thrown.
 */
export function inTime<T, L>(work: Promise<T>, limitMs: number, onLate: () => L): Promise<T | L> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, limitMs);
  return Promise.race([work, late.promise.then(onLate)]).finally(() => clearTimeout(timer));
}

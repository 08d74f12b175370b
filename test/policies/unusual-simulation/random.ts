/** Chance that comes out the same on every run. */

export type Random = {
  /** From 0, below 1. */
  next(): number;
  chance(probability: number): boolean;
  between(least: number, most: number): number;
  whole(least: number, most: number): number;
  pick<T>(of: readonly T[]): T;
  /** By weight. */
  weighted<T>(of: readonly (readonly [T, number])[]): T;
  /** Of an exponential distribution. */
  exponential(mean: number): number;
  /** Of a log-normal distribution. */
  around(median: number, spread: number): number;
};

/** A stream of its own for each list of names: another user more leaves all others as they were. */
export function randomOf(...names: readonly (string | number)[]): Random {
  let state = Number(Bun.hash.xxHash32(names.join("/")));
  /** mulberry32 */
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(of: readonly T[]): T => {
    const one = of[Math.floor(next() * of.length)];
    if (one === undefined) throw new RangeError("there is nothing to pick from");
    return one;
  };
  return {
    next,
    pick,
    chance: (probability) => next() < probability,
    between: (least, most) => least + next() * (most - least),
    whole: (least, most) => least + Math.floor(next() * (most - least + 1)),
    weighted(of) {
      let left = next() * of.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [one, weight] of of) {
        left -= weight;
        if (left < 0) return one;
      }
      return pick(of)[0];
    },
    exponential: (mean) => -Math.log(1 - next()) * mean,
    around(median, spread) {
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      return median * Math.exp(spread * normal);
    },
  };
}

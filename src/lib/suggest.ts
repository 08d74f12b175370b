/** Words longer than this are not typing mistakes of a name, and comparing costs length squared. */
const LENGTH_LIMIT = 64;

/**
 * Did you mean: the known word nearest to what was written, where one is near enough to be
 * a slip. Case, `-` and `_` are no difference.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LENGTH_LIMIT) return undefined;
  const written = plain(word);
  let best: string | undefined;
  // About one slip in three letters, so that short words are not taken for each other.
  let bestDistance = Math.max(1, Math.floor(written.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate.length > LENGTH_LIMIT) continue;
    const distance = editDistance(written, plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const differs = from[row - 1] === to[column - 1] ? 0 : 1;
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + differs,
          swapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

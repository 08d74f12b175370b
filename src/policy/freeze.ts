/**
 * Freezes plain data all the way down, with a stack of its own so that depth cannot overflow.
 *
 * @returns The same value.
 */
export function freezeDeeply<T>(value: T): T {
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== "object" || next === null) continue;
    Object.freeze(next);
    for (const member of Object.values(next)) waiting.push(member);
  }
  return value;
}

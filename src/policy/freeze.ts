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

/**
 * Freezes lists and plain objects all the way down and leaves the rest as it is: nothing can
 * freeze a Map, and bytes refuse to be.
 *
 * @returns The same value.
 */
export function freezePlainData<T>(value: T): T {
  const waiting: unknown[] = [value];
  const seen = new Set<unknown>();
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (!isPlain(next) || seen.has(next)) continue;
    seen.add(next);
    Object.freeze(next);
    for (const member of Object.values(next)) waiting.push(member);
  }
  return value;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

/** Bytes of each unit: powers of 1024. */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
};

const SIZE = /^(\d{1,12}(?:\.\d{1,6})?)(B|KB|MB|GB)$/;

/**
 * Reads a size as people write it: `512B`, `16KB`, `1.5MB`, `1GB`.
 *
 * @returns Whole bytes (a fraction of a byte is dropped), or `undefined` for anything else.
 */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = SIZE.exec(text) ?? [];
  const unitBytes = unit === undefined ? undefined : UNIT_BYTES[unit];
  if (unitBytes === undefined) return undefined;
  const bytes = Math.floor(Number(amount) * unitBytes);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

import { GateError } from "../errors.ts";
import { LONGEST_VALUE_BYTES, LONGEST_VALUE_KEY } from "./store.ts";

/**
 * Whoever puts something into the store bounds it himself; this is for the one who forgot.
 *
 * @throws GateError `internal_fault`
 */
export function assertFits(key: string, value: string): void {
  if (key.length > LONGEST_VALUE_KEY) {
    throw new GateError("internal_fault", `A key of the store is ${key.length} characters long`);
  }
  const bytes = Buffer.byteLength(value);
  if (bytes > LONGEST_VALUE_BYTES) {
    throw new GateError("internal_fault", `A value of the store has ${bytes} bytes`);
  }
}

/**
 * Tests that need a program which may not be there say so by name, here and nowhere else:
 * the test command looks for these calls to know what to install.
 *
 * @module
 */
import { describe } from "bun:test";
import { findProgram, type Need } from "./packages.ts";

/**
 * `describe`, skipped by name where the program is missing. With `CI=true` the test command
 * counts a skip as a failure.
 *
 * @param needs One or several, written as literals, so that they can be found in the text.
 */
export function describeWith(needs: Need | readonly Need[], title: string, body: () => void): void {
  const all = [needs].flat();
  const isMissing = all.some((need) => findProgram(need) === undefined);
  describe.skipIf(isMissing)(`${title} (needs ${all.join(", ")})`, body);
}

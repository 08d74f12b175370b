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
 * @param need Written as a literal, so that it can be found in the text.
 */
export function describeWith(need: Need, title: string, body: () => void): void {
  describe.skipIf(findProgram(need) === undefined)(`${title} (needs ${need})`, body);
}

import { afterAll, afterEach, describe, expect, spyOn, test } from "bun:test";
import { isTrustedOwner } from "../../src/lib/owner.ts";

const CALLER = 1_000;
const NEIGHBOUR = 1_001;
const STRANGER = 1_002;

describe("isTrustedOwner()", () => {
  const getuid = spyOn(process, "getuid").mockReturnValue(CALLER);
  afterEach(() => {
    getuid.mockReturnValue(CALLER);
  });
  // Other files may run in this process, and ask who they are.
  afterAll(() => getuid.mockRestore());

  test.each([
    [CALLER, true],
    [0, true],
    [NEIGHBOUR, true],
    [STRANGER, false],
    [65_534, false],
  ])("%i beside a folder of another: %p", (owner, trusted) => {
    expect(isTrustedOwner(owner, NEIGHBOUR)).toBe(trusted);
  });

  test("the administrator believes no stranger either", () => {
    getuid.mockReturnValue(0);
    expect(isTrustedOwner(STRANGER, 0)).toBe(false);
    expect(isTrustedOwner(STRANGER, STRANGER)).toBe(true);
  });
});

import { describe, expect, test } from "bun:test";
import type { Outcome } from "../../../src/cli/demo/run-attempt.ts";
import { formatTable } from "../../../src/cli/demo/table.ts";
import { ansi, plain } from "../../../src/cli/paint.ts";

const good: Outcome = {
  attempt: { label: "allowed", method: "GET", path: "/", expected: { status: 200 } },
  status: 200,
  why: "upstream saw X-User: alice",
  asExpected: true,
};
const bad: Outcome = {
  attempt: { label: "WebSocket", method: "WebSocket", path: "/live", expected: { status: 101 } },
  why: `no answer: ${"long ".repeat(40)}\u001b[2J`,
  asExpected: false,
};
const denied: Outcome = {
  attempt: { label: "wrong method", method: "POST", path: "/open/", expected: { status: 405 } },
  status: 405,
  code: "method_not_allowed",
  why: "",
  asExpected: true,
};

describe("formatTable()", () => {
  test("aligns the columns and marks each row", () => {
    expect(formatTable([good, denied], plain)).toBe(
      [
        "                   request      status  code                why",
        "  ✓  allowed       GET /        200                         upstream saw X-User: alice",
        "  ✓  wrong method  POST /open/  405     method_not_allowed",
        "",
      ].join("\n"),
    );
  });

  test("a request without an answer is marked, and its line cut at 100 columns", () => {
    const row = formatTable([good, bad], plain).split("\n")[2] ?? "";
    expect(row).toStartWith("  ✗  WebSocket  GET /live  none");
    expect(row).toEndWith("…");
    expect(Bun.stringWidth(row)).toBe(100);
  });

  test("colours change nothing of the text", () => {
    const painted = formatTable([good, denied, bad], ansi);
    expect(painted).toContain("\u001b[32m✓\u001b[0m");
    expect(painted).toContain("\u001b[31m✗\u001b[0m");
    expect(Bun.stripANSI(painted)).toBe(formatTable([good, denied, bad], plain));
  });
});

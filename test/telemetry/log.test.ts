import { describe, expect, test } from "bun:test";
import { createLog, type DecisionRecord, type LogOptions } from "../../src/telemetry/log.ts";

const DENIED: DecisionRecord = {
  requestId: "id-1",
  method: "GET",
  host: "api.acme.dev",
  path: "/orders/1",
  client: "10.0.0.7",
  route: "orders",
  decision: "deny",
  status: 403,
  code: "policy_denied",
  reason: "role_missing",
  policy: "require-roles",
  ms: 1.25,
};

function open(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), flush: async () => {} };
  const log = createLog({
    sink,
    format: "json",
    colour: "never",
    level: () => "info",
    now: () => Date.UTC(2026, 0, 5, 10, 0, 0),
    ...options,
  });
  return { log, lines };
}

describe("createLog()", () => {
  test("writes a decision as one JSON object", () => {
    const { log, lines } = open();
    log.decision(DENIED);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time: "2026-01-05T10:00:00.000Z", level: "info", event: "decision", ...DENIED },
    ]);
  });

  test("writes a decision as one readable line", () => {
    const { log, lines } = open({ format: "readable" });
    log.decision(DENIED);
    expect(lines).toEqual([
      "10:00:00  403  deny     GET api.acme.dev/orders/1  → orders  policy_denied · role_missing · policy require-roles  1.3 ms  id-1",
    ]);
  });

  test("keeps below its level quiet, and follows a level that changes", () => {
    let level: "warn" | "debug" = "warn";
    const { log, lines } = open({ level: () => level });
    log.event("info", "listening", "listening");
    log.decision(DENIED);
    expect(lines).toEqual([]);
    level = "debug";
    log.event("debug", "detail", "said now");
    expect(lines).toHaveLength(1);
  });

  test("no content of a field can forge a line or paint the terminal", () => {
    const evil = "a\r\n10:00:00 forged \u001b[31mred\u2028x\u0085y";
    for (const format of ["json", "readable"] as const) {
      const { log, lines } = open({ format });
      log.decision({ ...DENIED, path: evil, reason: evil });
      log.event("warn", "event", evil, { field: evil });
      for (const line of lines) {
        expect(line).not.toMatch(/[\r\n\u2028\u0085]/u);
        expect(line).not.toContain("\u001b[31m");
      }
    }
  });
});

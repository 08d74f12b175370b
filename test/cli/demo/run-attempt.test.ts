import { describe, expect, test } from "bun:test";
import type { Attempt } from "../../../src/cli/demo/attempts.ts";
import { runAttempt } from "../../../src/cli/demo/run-attempt.ts";
import { verdict } from "../../../src/cli/demo/words.ts";
import { plain } from "../../../src/cli/paint.ts";
import type { DecisionRecord } from "../../../src/telemetry/log.ts";

const TOKENS = {
  staff: "staff-token",
  guest: "",
  expired: "",
  foreign: "",
  forged: "",
  unsigned: "",
};

/** A server in the gate's place, which notes a decision before it answers. */
function stage(answer: (request: Request) => Response, decision?: Partial<DecisionRecord>) {
  const decisions: DecisionRecord[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (decision !== undefined) decisions.push(decision as DecisionRecord);
      return answer(request);
    },
  });
  return {
    gateUrl: server.url.origin,
    tokens: TOKENS,
    decisions,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

const attempt = (over: Partial<Attempt>): Attempt => ({
  label: "a request",
  method: "GET",
  path: "/",
  expected: { status: 200 },
  ...over,
});

const denial = (status: number, code: string) => () => Response.json({ code }, { status });

describe("runAttempt()", () => {
  test("is content with the status, code and reason that were expected, and tells the detail", async () => {
    await using gate = stage(denial(403, "policy_denied"), {
      decision: "deny",
      code: "policy_denied",
      reason: "role_missing",
      detail: "needs the role staff",
    });
    const expected = { status: 403, code: "policy_denied", reason: "role_missing" };
    expect(await runAttempt(attempt({ expected }), gate)).toMatchObject({
      status: 403,
      code: "policy_denied",
      reason: "role_missing",
      why: "role_missing: needs the role staff",
      asExpected: true,
    });
  });

  test.each([
    ["another status", { status: 200 }],
    ["another code", { status: 403, code: "policy_fault" }],
    ["no code", { status: 403 }],
    ["another reason", { status: 403, code: "policy_denied", reason: "threw" }],
  ])("is not content with %s", async (_, expected) => {
    await using gate = stage(denial(403, "policy_denied"), {
      decision: "deny",
      reason: "role_missing",
    });
    expect((await runAttempt(attempt({ expected }), gate)).asExpected).toBe(false);
  });

  test("sends token and headers, and compares what the upstream saw", async () => {
    await using gate = stage((request) => {
      const user = `${request.headers.get("authorization")} ${request.headers.get("x-user")}`;
      return Response.json({ identity: { "X-User": user } });
    });
    const sent = { token: "staff", headers: { "X-User": "root" } } as const;
    const user = "Bearer staff-token root";
    const good = attempt({ ...sent, expected: { status: 200, user } });
    expect(await runAttempt(good, gate)).toMatchObject({
      asExpected: true,
      why: `upstream saw X-User: ${user}`,
    });
    const bad = attempt({ ...sent, expected: { status: 200, user: "alice" } });
    expect((await runAttempt(bad, gate)).asExpected).toBe(false);
  });

  test("a WebSocket that is refused is told, not thrown", async () => {
    await using gate = stage(denial(401, "token_missing"), { decision: "deny" });
    const refused = attempt({ method: "WebSocket", expected: { status: 101 } });
    const outcome = await runAttempt(refused, gate);
    expect(outcome).toMatchObject({ asExpected: false });
    expect(outcome.why).toStartWith("no answer: ");
  });

  test("a gate that is not there is told, not thrown", async () => {
    const gone = stage(() => new Response());
    await gone[Symbol.asyncDispose]();
    const outcome = await runAttempt(attempt({}), gone);
    expect(outcome.status).toBeUndefined();
    expect(outcome).toMatchObject({ asExpected: false });
    expect(verdict([outcome], plain)).toContain("1 of 1 came out otherwise than expected");
    expect(verdict([outcome], plain)).toContain("a request: expected 200; no answer: ");
  });
});

/**
 * Sends one request of the demo and compares what came with what had to come: the answer as
 * the client has it, the operator's reason as the gate's log has it.
 *
 * @module
 */
import type { DecisionRecord } from "../../telemetry/log.ts";
import type { Attempt, Expected, TokenKind } from "./attempts.ts";

/** Where the requests go and how their decisions come back. */
export type Stage = {
  /** `http://127.0.0.1:8080` */
  readonly gateUrl: string;
  readonly tokens: Readonly<Record<TokenKind, string>>;
  /** The gate's decisions so far, newest last; requests go one at a time. */
  readonly decisions: readonly DecisionRecord[];
};

export type Outcome = {
  readonly attempt: Attempt;
  /** Absent where there was no answer at all. */
  readonly status?: number;
  readonly code?: string;
  /** The operator's reason: a word that may be searched for. */
  readonly reason?: string;
  /** What the operator would be told, or what the upstream was. */
  readonly why: string;
  readonly asExpected: boolean;
};

/** What the client saw. */
type Answer = {
  readonly status?: number;
  readonly code?: string;
  readonly user?: string;
  /** The methods that a 405 names. */
  readonly allow?: string;
};

const ANSWER_LIMIT_MS = 10_000;

/** @returns The outcome; never throws: no answer is an outcome, and not an expected one. */
export async function runAttempt(attempt: Attempt, stage: Stage): Promise<Outcome> {
  const before = stage.decisions.length;
  const answer = await (attempt.method === "WebSocket" ? dial : ask)(attempt, stage).catch(
    (fault: unknown): Answer & { fault: string } => ({
      fault: fault instanceof Error ? fault.message : String(fault),
    }),
  );
  const decision = stage.decisions.at(before);
  const { status, code } = answer;
  const outcome = {
    attempt,
    ...(status !== undefined && { status }),
    ...(code !== undefined && { code }),
    ...(decision?.reason !== undefined && { reason: decision.reason }),
  };
  const why = "fault" in answer ? `no answer: ${answer.fault}` : whyOf(decision, answer);
  return { ...outcome, why, asExpected: isAsExpected(attempt.expected, answer, decision) };
}

function isAsExpected(
  expected: Expected,
  answer: Answer,
  decision: DecisionRecord | undefined,
): boolean {
  return (
    answer.status === expected.status &&
    answer.code === expected.code &&
    (expected.reason === undefined || decision?.reason === expected.reason) &&
    (expected.user === undefined || answer.user === expected.user)
  );
}

function whyOf(decision: DecisionRecord | undefined, answer: Answer): string {
  if (decision?.decision === "deny") {
    const { reason, detail, code } = decision;
    if (answer.allow !== undefined) return `the route takes ${answer.allow}`;
    const parts = [reason === code && detail !== undefined ? undefined : reason, detail];
    return parts.filter((part) => part !== undefined).join(": ");
  }
  if (answer.status === 101) return "message echoed";
  if (answer.user === "") return "upstream saw no X-User";
  return answer.user === undefined ? "" : `upstream saw X-User: ${answer.user}`;
}

function headersOf({ token, headers }: Attempt, { tokens }: Stage): Record<string, string> {
  return {
    ...headers,
    ...(token !== undefined && { Authorization: `Bearer ${tokens[token]}` }),
  };
}

async function ask(attempt: Attempt, stage: Stage): Promise<Answer> {
  const response = await fetch(`${stage.gateUrl}${attempt.path}`, {
    method: attempt.method,
    headers: headersOf(attempt, stage),
    redirect: "manual",
    // A proxy that the environment names has no business on loopback.
    proxy: false,
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });
  const { status } = response;
  const body = (await response.json()) as { code?: string; identity?: { "X-User"?: string } };
  if (body.identity !== undefined) return { status, user: body.identity["X-User"] ?? "" };
  const allow = response.headers.get("allow");
  return {
    status,
    ...(body.code !== undefined && { code: body.code }),
    ...(allow !== null && { allow }),
  };
}

/** Opens a WebSocket and waits for its message to come back. */
async function dial(attempt: Attempt, stage: Stage): Promise<Answer> {
  const url = `${stage.gateUrl.replace("http", "ws")}${attempt.path}`;
  const socket = new WebSocket(url, { headers: headersOf(attempt, stage) });
  const echoed = Promise.withResolvers<Answer>();
  const message = crypto.randomUUID();
  socket.onopen = () => socket.send(message);
  socket.onmessage = (event) => {
    if (event.data === message) echoed.resolve({ status: 101 });
    else echoed.reject(new Error("another message came back"));
  };
  socket.onclose = () => echoed.reject(new Error("the WebSocket was refused or closed"));
  const timer = setTimeout(() => echoed.reject(new Error("no message came back")), ANSWER_LIMIT_MS);
  try {
    return await echoed.promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/**
 * The gate itself, in this process, as `serve` would start it from a file: with a clock that
 * tests move, a log that they read, and bytes that they send.
 *
 * @module
 */
import { expect } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { startGate } from "../../src/cli/start-gate.ts";
import { createLog, type Log } from "../../src/telemetry/log.ts";
import { type RawAnswer, type RawOptions, rawRequest } from "../support/raw-request.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** 2026-01-05T10:00:00Z, where the clock of every attack stands at first; a NumericDate. */
export const NOW = 1_767_607_200;

export type AttackGate = AsyncDisposable & {
  readonly port: number;
  readonly folder: string;
  /** Milliseconds since 1970; write it to move the gate's time. */
  readonly clock: { nowMs: number };
  /** Everything logged so far, once for machines and once for people. */
  readonly log: { readonly json: string[]; readonly readable: string[] };
  readonly reload: () => Promise<boolean>;
};

/** @param files Written beside the configuration. */
export async function openAttackGate(
  config: object,
  files: Readonly<Record<string, string>> = {},
): Promise<AttackGate> {
  const text = stringify({ listen: "127.0.0.1:0", ...config });
  const folder = await tempFolder({ "claimgate.yaml": text, ...files });
  const clock = { nowMs: NOW * 1000 };
  const log: AttackGate["log"] = { json: [], readable: [] };
  try {
    const running = await startGate({
      file: join(folder.path, "claimgate.yaml"),
      environment: {},
      openLog: (level) => teeLog(log, { level, now: () => clock.nowMs }),
      now: () => clock.nowMs,
    });
    return {
      // None on a unix socket.
      port: Number(new URL(running.urls()[0] ?? "").port),
      folder: folder.path,
      clock,
      log,
      reload: running.reload,
      async [Symbol.asyncDispose]() {
        await running.drain();
        await folder[Symbol.asyncDispose]();
      },
    };
  } catch (fault) {
    await folder[Symbol.asyncDispose]();
    throw new Error(`Cannot start the gate: ${Bun.inspect(fault)}`, { cause: fault });
  }
}

function teeLog(
  lines: AttackGate["log"],
  common: Pick<Parameters<typeof createLog>[0], "level" | "now">,
): Log {
  const open = (format: "json" | "readable") => {
    const sink = { write: (line: string) => void lines[format].push(line), flush: async () => {} };
    return createLog({ ...common, format, colour: "never", sink });
  };
  const logs = [open("json"), open("readable")];
  return {
    event(...words) {
      for (const log of logs) log.event(...words);
    },
    decision(record) {
      for (const log of logs) log.decision(record);
    },
    async flush() {},
  };
}

export type Shot = {
  readonly method?: string;
  /** The request target, raw. */
  readonly target?: string;
  readonly host?: string;
  /** Raw header lines besides Host, each without its line end. */
  readonly lines?: readonly string[];
  readonly body?: string;
};

/** @returns The request's bytes, one character a byte. */
export function requestBytes({
  method = "GET",
  target = "/",
  host = "gate.test",
  lines = [],
  body = "",
}: Shot): string {
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

export function shoot(gate: AttackGate, shot: Shot, options: RawOptions = {}): Promise<RawAnswer> {
  return rawRequest(gate.port, requestBytes(shot), options);
}

export function bearer(token: string): string {
  return `Authorization: Bearer ${token}`;
}

/**
 * Asks again until the answer is the wanted one: for what the gate does behind the request,
 * such as the first fetch of keys.
 *
 * @throws Error when it never comes.
 */
export async function untilStatus(status: number, ask: () => Promise<RawAnswer>): Promise<void> {
  let last = 0;
  for (let tries = 0; tries < 500; tries++) {
    last = (await ask()).status;
    if (last === status) return;
    await Bun.sleep(10);
  }
  throw new Error(`Expected ${status}, but the gate keeps answering ${last}`);
}

/** RFC 6750 §3: the challenge that each code of 401 goes with. */
const CHALLENGES: Readonly<Record<string, string>> = {
  token_missing: 'Bearer realm="claimgate"',
  token_invalid: 'Bearer realm="claimgate", error="invalid_token"',
  token_expired: 'Bearer realm="claimgate", error="invalid_token"',
};

/**
 * Holds an answer to what every denial is: the exact status and code, problem details with
 * nothing else in them, never kept by a cache, under an id of ours, logged once.
 */
export function expectDenied(
  gate: AttackGate,
  answer: RawAnswer,
  status: number,
  code: string,
): void {
  expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.headers["cache-control"]).toBe("no-store");
  expect(answer.headers["www-authenticate"]).toBe(CHALLENGES[code]);
  const problem = JSON.parse(answer.body);
  expect(Object.keys(problem).sort()).toEqual(["code", "requestId", "status", "title", "type"]);
  expect(problem.status).toBe(status);
  const requestId = answer.headers["x-request-id"] ?? "";
  expect(problem.requestId).toBe(requestId);
  expect(requestId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  const logged = gate.log.json.filter((line) => line.includes(requestId)).map(parseLine);
  const decisions = logged.filter(({ event }) => event === "decision");
  expect(decisions).toHaveLength(1);
  expect(decisions[0]).toMatchObject({ decision: "deny", status, code });
}

function codeOf({ body, headers }: RawAnswer): string {
  if (headers["content-type"] !== "application/problem+json") return `no problem: ${body}`;
  return String(JSON.parse(body).code);
}

/** @throws Error (of the test) when a line is not exactly one JSON object. */
export function parseLine(line: string): Record<string, unknown> {
  // Nothing that a terminal, a shell or a log shipper could take for a line end or a control.
  expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  return JSON.parse(line);
}

/** No word of these in anything that was logged. */
export function expectDiscreet(gate: AttackGate, secrets: readonly string[]): void {
  const all = [...gate.log.json, ...gate.log.readable].join("\n");
  expect(secrets.filter((secret) => secret.length > 5 && all.includes(secret))).toEqual([]);
}

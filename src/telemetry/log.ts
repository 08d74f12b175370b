/**
 * The gate's log: one line an event, JSON for machines or readable on a terminal. Never a
 * token, cookie, query string or claim value: the fields below are all there are.
 *
 * @module
 */
import { jsonLine } from "../lib/json-line.ts";
import type { LineSink } from "./sink.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** One decision, as the log tells it. */
export type DecisionRecord = {
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly client: string;
  readonly route?: string | undefined;
  readonly decision: "forward" | "deny";
  readonly code?: string | undefined;
  /** The operator's reason: a refusal's, or a policy's own code. */
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
  readonly policy?: string | undefined;
  /** Of a policy that broke. */
  readonly stack?: string | undefined;
  readonly issuer?: string | undefined;
  /** A keyed hash of issuer and `sub`. */
  readonly subject?: string | undefined;
  readonly status: number;
  /** Until the answer began. */
  readonly ms: number;
};

export type Log = {
  /** @param fields Plain values that are safe to keep. */
  event(level: LogLevel, event: string, message: string, fields?: Fields): void;
  decision(record: DecisionRecord): void;
  flush(): Promise<void>;
};

type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export type LogOptions = {
  readonly sink: LineSink;
  readonly format: "json" | "readable";
  readonly colour: "always" | "never";
  /** Read at each line, so that a reload can change it. */
  readonly level: () => LogLevel;
  readonly now: () => number;
};

export function createLog({ sink, format, colour, level, now }: LogOptions): Log {
  const paint = colour === "always" ? paintAnsi : plain;
  return {
    event(at, event, message, fields = {}) {
      if (RANK[at] < RANK[level()]) return;
      const time = new Date(now()).toISOString();
      if (format === "json") {
        sink.write(jsonLine({ time, level: at, event, message, ...fields }));
        return;
      }
      const extra = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
      const tint = at === "error" ? "red" : at === "warn" ? "yellow" : "cyan";
      const label = paint(at.padEnd(5), tint);
      sink.write(`${time.slice(11, 19)} ${label} ${visible(message + extra.join(""))}`);
    },
    decision(record) {
      if (RANK[level()] > RANK.info) return;
      const time = new Date(now()).toISOString();
      sink.write(
        format === "json"
          ? `{"time":"${time}","level":"info","event":"decision",${jsonLine(record).slice(1)}`
          : readable(time, record, paint),
      );
    },
    flush: () => sink.flush(),
  };
}

function readable(time: string, record: DecisionRecord, paint: Paint): string {
  const { status, code, reason, policy, method, host, path, ms, route, subject } = record;
  const tint = status < 400 ? "green" : status < 500 ? "yellow" : "red";
  const why = [code, reason === code ? undefined : reason, policy && `policy ${policy}`]
    .filter((part) => part !== undefined)
    .join(" · ");
  const parts = [
    time.slice(11, 19),
    paint(String(status), tint),
    record.decision.padEnd("forward".length),
    visible(`${method} ${host}${path}`),
    route && paint(visible(`→ ${route}`), "dim"),
    why && paint(visible(why), tint),
    subject && paint(`sub:${subject}`, "dim"),
    paint(`${ms.toFixed(1)} ms`, "dim"),
    paint(record.requestId, "dim"),
  ];
  return parts.filter((part) => part !== undefined && part !== "").join("  ");
}

type Paint = (text: string, tint: keyof typeof ANSI) => string;

const ANSI = { red: 31, yellow: 33, green: 32, cyan: 36, dim: 2 } as const;
const paintAnsi: Paint = (text, tint) => `\u001b[${ANSI[tint]}m${text}\u001b[0m`;
const plain: Paint = (text) => text;

/** Line ends and other controls would forge a line, or paint one. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, "?");
}

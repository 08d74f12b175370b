/**
 * What an operator may read of a policy that threw: its error, without what the token or the
 * request holds, and without secrets.
 *
 * @module
 */
import { type Question, secretsTold } from "./input.ts";
import type { Verdict } from "./verdict.ts";

type Fault = Extract<Verdict, { kind: "fault" }>;

const DETAIL_LIMIT = 500;
const STACK_LIMIT = 4_000;
/** Shorter values are in every text by chance, and tell nothing. */
const REDACTED_FROM_LENGTH = 4;
const REDACTED_LIMIT = 1_000;
const LONG_WORD = 16;

export function threw(policy: string, error: unknown, question: Question): Fault {
  const fault = { kind: "fault", policy, code: "threw" } as const;
  if (!(error instanceof Error)) {
    return {
      ...fault,
      detail: `it threw ${error === null ? "null" : `a ${typeof error}`}, not an Error`,
    };
  }
  const secrets = valuesOf(question);
  const said = redact(`${error.name}: ${error.message}`, secrets);
  // Frames name files and functions only; what is before them repeats the message.
  const all = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const ours = all.findIndex((frame) => frame.includes("policy/evaluate.ts:"));
  const frames = ours < 0 ? all : all.slice(0, ours);
  return {
    ...fault,
    detail: said.replaceAll(/\s+/g, " ").slice(0, DETAIL_LIMIT),
    stack: [said, ...frames].join("\n").slice(0, STACK_LIMIT),
  };
}

export function timedOut(policy: string, limitMs: number): Fault {
  return { kind: "fault", policy, code: "timeout", detail: `no answer within ${limitMs} ms` };
}

function redact(text: string, values: readonly string[]): string {
  return values.reduce((rest, value) => rest.replaceAll(value, "[…]"), text);
}

/**
 * A header's value, and what policies take out of one before they quote it: the token of
 * `Bearer …`, one cookie of many. Of other headers only long words, which are never plain speech.
 */
function partsOf([name, value]: readonly [string, string]): string[] {
  const words = value.split(/[\s,;]+/).flatMap((word) => [word, word.replace(/^[^=]*=/, "")]);
  const isCredential = name === "authorization" || name === "cookie";
  return [value, ...words.filter((word) => isCredential || word.length >= LONG_WORD)];
}

/** Every string or number that came with the request, and every secret, the longest first. */
function valuesOf({ token, inquiry, isMadeUp }: Question): string[] {
  const values = new Set<string>(secretsTold());
  const waiting: unknown[] = isMadeUp
    ? []
    : [
        token.claims,
        token.subject,
        inquiry.query,
        ...[...inquiry.headers].flatMap(partsOf),
        ...new URLSearchParams(inquiry.query).values(),
      ];
  while (waiting.length > 0 && values.size < REDACTED_LIMIT) {
    const next = waiting.pop();
    if (typeof next === "object" && next !== null) waiting.push(...Object.values(next));
    const text = typeof next === "string" || typeof next === "number" ? String(next) : "";
    if (text.length >= REDACTED_FROM_LENGTH) values.add(text);
  }
  const forms = new Set([...values].flatMap(formsOf));
  return [...forms].sort((a, b) => b.length - a.length);
}

/** As it stands, and as it stands in an address or in JSON. */
function formsOf(value: string): readonly string[] {
  const text = value.toWellFormed();
  const quoted = JSON.stringify(value).slice(1, -1);
  return [value, value.toLowerCase(), encodeURIComponent(text), encodeURI(text), quoted];
}

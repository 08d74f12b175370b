/**
 * One address of the admin API: what it takes and gives, as schemas, and what it does. What is
 * asked is checked here, whole, before any of it is used.
 *
 * @module
 */
import type { Static, TObject, TSchema } from "@sinclair/typebox";
import { Value, type ValueError } from "@sinclair/typebox/value";
import { suggest } from "../lib/suggest.ts";
import type { Admin } from "./admin.ts";
import { ProblemError } from "./problem.ts";

type Method = "GET" | "POST" | "DELETE";

type Asked<Q extends TObject, B extends TObject> = {
  readonly query: Static<Q>;
  readonly body: Static<B>;
  readonly request: Request;
  /** Bun's idle limit, in seconds, of this connection; 0 for none. */
  readonly setIdleLimit: (seconds: number) => void;
};

type Definition<Q extends TObject, B extends TObject, R extends TSchema> = {
  readonly method: Method;
  readonly path: string;
  /** One line, for the pages. */
  readonly summary: string;
  readonly query?: Q;
  /** JSON; none at all is one without members. */
  readonly body?: B;
  /** Of the answer, as JSON; or its media type where it is none. */
  readonly answers: R | string;
  readonly answer: (
    admin: Admin,
    asked: Asked<Q, B>,
  ) => Promise<Static<R> | Response> | Static<R> | Response;
};

/** With its own types forgotten: what `answer` is given has been checked by its schemas. */
export type Endpoint = Omit<Definition<TObject, TObject, TSchema>, "answer"> & {
  readonly answer: (admin: Admin, asked: Asked<TObject, TObject>) => Promise<Response>;
};

export function endpoint<Q extends TObject, B extends TObject, R extends TSchema>(
  definition: Definition<Q, B, R>,
): Endpoint {
  return {
    ...definition,
    async answer(admin, asked) {
      const answer = await definition.answer(admin, asked as Asked<Q, B>);
      return answer instanceof Response ? answer : Response.json(answer);
    },
  };
}

const LONGEST_QUERY = 16 * 1024;
const LONGEST_BODY = 64 * 1024;

/** @throws ProblemError */
export async function readAsked(
  { query, body }: Endpoint,
  request: Request,
): Promise<Pick<Asked<TObject, TObject>, "query" | "body">> {
  const { search } = new URL(request.url);
  if (search.length > LONGEST_QUERY) throw new ProblemError("too_large");
  const given = readQuery(search, query);
  if (body === undefined) return { query: given, body: {} };
  // Nothing at all says nothing: `curl -X POST …/v1/reload`.
  const isBare = request.body === null && !request.headers.has("content-type");
  return { query: given, body: isBare ? {} : await readBody(request, body) };
}

function readQuery(search: string, schema: TObject | undefined): Record<string, unknown> {
  const known = schema?.properties ?? {};
  const values: Record<string, unknown> = {};
  for (const [name, text] of new URLSearchParams(search)) {
    const property = Object.hasOwn(known, name) ? known[name] : undefined;
    if (property === undefined) throw unknownName(name, Object.keys(known), "parameter");
    if (Object.hasOwn(values, name)) {
      throw new ProblemError("request_malformed", `the parameter ${name} is given twice`);
    }
    values[name] = convert(text, property);
  }
  if (schema !== undefined) check(schema, values, "parameter");
  return values;
}

/** Of a query all is text; what is no such number or switch stays text, and is refused. */
function convert(text: string, { type }: TSchema): unknown {
  if (type === "integer" && /^\d{1,15}$/.test(text)) return Number(text);
  if (type === "boolean" && ["", "1", "true"].includes(text)) return true;
  if (type === "boolean" && ["0", "false"].includes(text)) return false;
  return text;
}

/** The type is asked for so that no page of another site can send it without asking first. */
async function readBody(request: Request, schema: TObject): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new ProblemError("content_type_unsupported");
  }
  const text = await readText(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProblemError("request_malformed", "the body is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProblemError("request_malformed", "the body is not a JSON object");
  }
  const known = Object.keys(schema.properties);
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) throw unknownName(name, known, "member");
  }
  check(schema, value, "member");
  return value as Record<string, unknown>;
}

async function readText(request: Request): Promise<string> {
  let read = 0;
  const parts: Uint8Array[] = [];
  for await (const part of request.body ?? []) {
    read += part.byteLength;
    if (read > LONGEST_BODY) throw new ProblemError("too_large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function check(schema: TObject, value: unknown, what: string): void {
  if (Value.Check(schema, value)) return;
  const first = Value.Errors(schema, value).First();
  throw new ProblemError("request_malformed", first && `the ${what} ${wordOf(first)}`);
}

/** Never with the value. */
function wordOf({ path, message, schema }: ValueError): string {
  const name = path.slice(1).replaceAll("/", ".") || "itself";
  const choices = Array.isArray(schema.anyOf)
    ? schema.anyOf.map((one: TSchema) => one.const).filter((one: unknown) => one !== undefined)
    : [];
  if (choices.length > 0) return `${name} must be one of: ${choices.join(", ")}`;
  return `${name} does not do: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

function unknownName(name: string, known: readonly string[], what: string): ProblemError {
  const meant = suggest(name, known);
  const fix =
    meant !== undefined
      ? `did you mean ${meant}?`
      : known.length === 0
        ? "there are none here"
        : `there are: ${known.join(", ")}`;
  return new ProblemError("request_malformed", `a ${what} is not known: ${fix}`);
}

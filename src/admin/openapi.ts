/**
 * `/openapi.json` and the same as a page: made from the endpoints' own schemas. The page brings
 * all it needs and loads nothing.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import type { Endpoint } from "./endpoint.ts";
import { Problem } from "./problem.ts";

/** @see https://spec.openapis.org/oas/v3.1.0 */
export function openapi(endpoints: readonly Endpoint[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of endpoints) {
    const { path, method } = one;
    const item = paths[path] ?? {};
    paths[path] = item;
    item[method.toLowerCase()] = operation(one);
  }
  const named = new Map<string, unknown>();
  collectNamed([endpoints.map(({ answers }) => answers), Problem], named);
  return {
    openapi: "3.1.0",
    info: {
      title: "Claimgate admin API",
      version,
      description: "What was decided, what passed, what is revoked and what is in force.",
    },
    servers: [{ url: "/" }],
    security: [{}, { admin: [] }],
    paths,
    components: {
      securitySchemes: { admin: { type: "http", scheme: "bearer" } },
      schemas: Object.fromEntries(named),
    },
  };
}

function operation({ method, path, summary, query, body, answers }: Endpoint): object {
  const content =
    typeof answers === "string"
      ? { [answers]: { schema: { type: "string" } } }
      : { "application/json": { schema: referring(answers) } };
  const problem = { schema: { $ref: "#/components/schemas/Problem" } };
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^a-z0-9]+/gi, "_")}`,
    summary,
    ...(query !== undefined && {
      parameters: Object.entries(query.properties).map(([name, schema]) => ({
        name,
        in: "query",
        required: query.required?.includes(name) ?? false,
        description: schema.description ?? "",
        schema: referring(schema),
      })),
    }),
    ...(body !== undefined && {
      requestBody: { content: { "application/json": { schema: referring(body) } } },
    }),
    responses: {
      200: { description: "Done", content },
      default: { description: "A problem", content: { "application/problem+json": problem } },
    },
  };
}

/** Those with a name of their own, wherever they are in it. */
function collectNamed(value: unknown, named: Map<string, unknown>): void {
  if (typeof value !== "object" || value === null) return;
  if ("$id" in value) named.set(String(value.$id), bodyOf(value as TSchema));
  for (const one of Object.values(value)) collectNamed(one, named);
}

/** JSON Schema, with what has a name of its own put in by that name. */
function referring(schema: TSchema): unknown {
  return schema.$id === undefined ? bodyOf(schema) : { $ref: `#/components/schemas/${schema.$id}` };
}

function bodyOf(schema: TSchema): unknown {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== "object" || value === null) return value;
    if ("$id" in value) return { $ref: `#/components/schemas/${value.$id}` };
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, visit(one)]));
  };
  const { $id: _, ...rest } = schema;
  return visit(rest);
}

export function docsPage(endpoints: readonly Endpoint[], version: string): string {
  const sections = endpoints.map(sectionOf).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claimgate admin API</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Claimgate admin API</h1>
<p>Version ${escapeHtml(version)}. For programs: <a href="/openapi.json">/openapi.json</a>.
Problems are <code>application/problem+json</code> with a stable <code>code</code>.</p>
${sections}
</main>
</body>
</html>
`;
}

function sectionOf({ method, path, summary, query, body, answers }: Endpoint): string {
  const parts = [
    `<h2><span class="method">${method}</span> <code>${escapeHtml(path)}</code></h2>`,
    `<p>${escapeHtml(summary)}.</p>`,
  ];
  if (query !== undefined) parts.push(tableOf("Query", query.properties, query.required));
  if (body !== undefined && Object.keys(body.properties).length > 0) {
    parts.push(tableOf("Body (JSON)", body.properties, body.required));
  }
  const shape =
    typeof answers === "string" ? answers : JSON.stringify(referring(answers), undefined, 2);
  parts.push(`<details><summary>Answer</summary><pre>${escapeHtml(shape)}</pre></details>`);
  return `<section>\n${parts.join("\n")}\n</section>`;
}

function tableOf(
  title: string,
  properties: Readonly<Record<string, TSchema>>,
  required: readonly string[] = [],
): string {
  const rows = Object.entries(properties).map(([name, schema]) => {
    const needed = required.includes(name) ? "required" : "";
    const description = escapeHtml(schema.description ?? "");
    const type = escapeHtml(typeWord(schema));
    return `<tr><td><code>${escapeHtml(name)}</code></td><td>${type}</td><td>${description} ${needed}</td></tr>`;
  });
  return `<h3>${title}</h3>\n<table>\n${rows.join("\n")}\n</table>`;
}

function typeWord({ type, anyOf }: TSchema): string {
  if (!Array.isArray(anyOf)) return String(type ?? "any");
  return anyOf.map((one: TSchema) => String(one.const ?? one.type)).join(" | ");
}

function escapeHtml(text: string): string {
  return Bun.escapeHTML(text);
}

export const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 50rem; margin: 0 auto; padding: 1rem; }
section { border-top: 1px solid #8884; padding: .5rem 0; }
h2 { font-size: 1.1rem; } h3 { font-size: .95rem; margin-bottom: .25rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; }
.method { font-size: .8em; font-weight: 700; border: 1px solid #8886; border-radius: .25rem; padding: 0 .4em; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #8883; padding: .2rem .6rem .2rem 0; vertical-align: top; text-align: left; }
`;

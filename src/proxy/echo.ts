/**
 * The built-in upstream: answers with the request as an upstream would see it.
 *
 * @module
 */
import type { MeteredBody } from "./body.ts";

/**
 * @param target Path and query.
 * @param body Read to its end, so that its bounds hold here as anywhere.
 * @returns 200 with `{ method, path, query, headers }`; `query` with its question mark, or empty.
 */
export async function echo(
  method: string,
  target: string,
  headers: Headers,
  body: MeteredBody | undefined,
): Promise<Response> {
  if (body !== undefined) await body.open().pipeTo(new WritableStream());
  const queryAt = target.indexOf("?");
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  const query = queryAt < 0 ? "" : target.slice(queryAt);
  return Response.json({ method, path, query, headers: headers.toJSON() });
}

/**
 * `assertion` of a route: a token of the gate's own about the user, for the upstream.
 *
 * @module
 */
import { readDurationMs } from "./quantity.ts";
import { checkAssertionHeader } from "./read-headers.ts";
import type { Reading } from "./report.ts";
import type { AssertionConfig, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";

/** What the gate itself says in it (RFC 7519 §4.1); a claim of that name would be taken for it. */
const OWN_CLAIMS: ReadonlySet<string> = new Set("iss aud exp nbf iat jti".split(" "));

/** @param path The route's. */
export function readAssertion(
  content: RouteContent,
  path: YamlPath,
  reading: Reading,
): AssertionConfig | undefined {
  const { assertion } = content;
  if (assertion === undefined) return undefined;
  const { report } = reading;
  const at = [...path, "assertion"];
  const { header = "", audience = "" } = assertion;
  if (assertion.header !== undefined) checkAssertionHeader(content, path, reading);
  if (assertion.audience?.trim() === "" || /\p{Cc}/u.test(audience)) {
    report.at([...at, "audience"], {
      code: "value_invalid",
      message: "audience is empty or holds control characters",
      fix: "write what the upstream expects as aud, for example its name",
    });
  }
  return {
    header,
    audience,
    lifetimeMs: readDurationMs(
      assertion.lifetime,
      "60s",
      { from: "1s", to: "1h" },
      [...at, "lifetime"],
      report,
    ),
    claims: readClaims(assertion.claims, [...at, "claims"], reading),
  };
}

function readClaims(
  written: readonly (string | undefined)[] | undefined,
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  const names = (written ?? ["sub"]).filter((name) => name !== undefined);
  for (const [index, name] of (written ?? []).entries()) {
    if (name === "") {
      const fix = "write the claim's name, for example sub";
      report.at([...path, index], { code: "value_invalid", message: "an empty claim name", fix });
    } else if (name !== undefined && OWN_CLAIMS.has(name)) {
      const message = `the gate writes ${name} itself`;
      report.at([...path, index], { code: "claim_reserved", message, fix: "remove it" });
    }
  }
  return [...new Set(names)];
}

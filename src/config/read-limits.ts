/**
 * `limits`, and the `rateLimit` of a route: how much passes in a time.
 *
 * @module
 */
import { type Bounds, readCount, readDurationMs } from "./quantity.ts";
import type { Reading } from "./report.ts";
import type { Config, RateLimitConfig, YamlPath } from "./resolved.ts";
import type { FileContent, RouteContent } from "./schema.ts";
import { LIMIT_RANGE } from "./schema-ledger.ts";

const PER_BOUNDS: Bounds = { from: "1s", to: "24h" };

type Preset = { readonly limit: number; readonly per: string };
const ADDRESS_PRESET: Preset = { limit: 600, per: "1m" };
const ROUTE_PRESET: Preset = { limit: 100, per: "1m" };

export function readLimits(content: FileContent["limits"], reading: Reading): Config["limits"] {
  const address = content?.address ?? true;
  if (address === false) return {};
  const written = address === true ? {} : address;
  const rate = readRate(written, ADDRESS_PRESET, ["limits", "address"], reading);
  return { address: { ...rate, of: written.of ?? "failures" } };
}

/** @param path The route's. @returns `undefined` where the route has no limit. */
export function readRateLimit(
  { rateLimit, public: isPublic }: RouteContent,
  path: YamlPath,
  reading: Reading,
): RateLimitConfig | undefined {
  if (rateLimit === undefined) return undefined;
  const at = [...path, "rateLimit"];
  const by = rateLimit.by ?? (isPublic === true ? "address" : "subject");
  if (isPublic === true && by !== "address") {
    reading.report.at([...at, "by"], {
      code: "rate_limit_public",
      message: `public: true looks at no credential, so there is no ${by} to count by`,
      fix: "write by: address",
    });
  }
  return { ...readRate(rateLimit, ROUTE_PRESET, at, reading), by };
}

function readRate(
  { limit, per }: { readonly limit?: number | undefined; readonly per?: string | undefined },
  preset: Preset,
  path: YamlPath,
  { report }: Reading,
): { readonly limit: number; readonly perMs: number } {
  return {
    limit: readCount(limit, preset.limit, LIMIT_RANGE, [...path, "limit"], report),
    perMs: readDurationMs(per, preset.per, PER_BOUNDS, [...path, "per"], report),
  };
}

/**
 * The `streams` of a route: how what stays open is watched.
 *
 * @module
 */
import { readDurationMs } from "./quantity.ts";
import type { Reading } from "./report.ts";
import type { StreamsConfig, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";

/** @param path The route's. */
export function readStreams(
  { streams, public: isPublic }: RouteContent,
  path: YamlPath,
  { report }: Reading,
): StreamsConfig {
  const at = [...path, "streams"];
  if (streams !== undefined && isPublic === true) {
    report.atKey(at, {
      code: "streams_public",
      message: "public: true looks at no credential, so there is none to watch",
      fix: "remove public or streams",
    });
  }
  const { recheck, graceOnExpiry } = streams ?? {};
  const rare = { from: "1s", to: "24h" };
  const short = { from: "0s", to: "24h" };
  return {
    recheckMs: readDurationMs(recheck, "30s", rare, [...at, "recheck"], report),
    graceOnExpiryMs: readDurationMs(graceOnExpiry, "0s", short, [...at, "graceOnExpiry"], report),
  };
}

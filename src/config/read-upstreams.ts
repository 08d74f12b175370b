/**
 * `upstream`: where approved requests go.
 *
 * @module
 */
import { isLoopbackHost } from "../lib/host.ts";
import { err, ok, type Result } from "../result.ts";
import { socketPath } from "./read-listen.ts";
import { readOrigin } from "./read-url.ts";
import type { Reading } from "./report.ts";
import type { UpstreamAddress, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";
import type { Problem } from "./source.ts";

const ADVICE = "write http://host:port or https://host; a path goes into addPrefix";

/**
 * @param allowPlainHttp Whether `http:` may leave this machine.
 * @param isAskedAbout Whether some proxy may ask about the route instead (forward-auth), so that
 *   it needs no upstream.
 */
export function readUpstreams(
  written: RouteContent["upstream"],
  path: YamlPath,
  reading: Reading,
  {
    allowPlainHttp,
    isAskedAbout,
  }: { readonly allowPlainHttp: boolean; readonly isAskedAbout: boolean },
): readonly UpstreamAddress[] {
  const at = [...path, "upstream"];
  if (written === undefined && !reading.source.has(at) && !isAskedAbout) {
    reading.report.at(path, {
      code: "key_missing",
      message: `routes[${String(path.at(-1))}] has no upstream`,
      fix: "add upstream: where approved requests go; only behind a proxy in trustedProxies, which asks at /.claimgate/verify, a route needs none",
    });
  }
  const isList = typeof written === "object";
  const entries = isList ? written : [written];
  if (entries.length === 0) {
    const fix = "name at least one address";
    reading.report.at(at, { code: "list_empty", message: "upstream names no address", fix });
  }
  const addresses: UpstreamAddress[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    const place = isList ? [...at, index] : at;
    const address = parseUpstream(entry, reading.folder, allowPlainHttp);
    if (!address.ok) reading.report.at(place, address.error);
    else if (addresses.some((other) => Bun.deepEquals(other, address.value))) {
      const message = "this address is listed twice";
      reading.report.at(place, {
        code: "upstream_duplicate",
        message,
        fix: "remove one of the two",
      });
    } else addresses.push(address.value);
  }
  return addresses;
}

function parseUpstream(
  text: string,
  folder: string,
  allowPlainHttp: boolean,
): Result<UpstreamAddress, Problem> {
  if (text === "echo") return ok({ kind: "echo" });
  if (text.startsWith("unix:")) {
    const socket = socketPath(text.slice("unix:".length), folder);
    if (socket !== undefined) return ok({ kind: "unix", socket });
    const message = "not a socket's path, or one that is too long";
    return err({ code: "upstream_invalid", message, fix: "write unix:/run/app.sock" });
  }
  const url = readOrigin(text, "upstream", ADVICE);
  if (!url.ok) return url;
  const { protocol, hostname, origin } = url.value;
  if (protocol === "http:" && !allowPlainHttp && !isLoopbackHost(hostname)) {
    return err({
      code: "upstream_plain",
      message: "plain http to an upstream beyond this machine",
      fix: "write https, or set allowPlainHttp: true where that network is trusted",
    });
  }
  return ok({ kind: "http", origin });
}

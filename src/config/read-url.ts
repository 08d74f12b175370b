/**
 * Addresses of other servers, as the owner writes them.
 *
 * @module
 */
import { isLoopbackHost } from "../lib/host.ts";
import { err, ok, type Result } from "../result.ts";
import type { Problem } from "./source.ts";

/**
 * Reads an `https:` address, or `http:` on loopback.
 *
 * @param noun What the address is, for the message.
 */
export function readSecureUrl(text: string, noun: string): Result<URL, Problem> {
  const url = parseHttpUrl(text);
  if (url === undefined) {
    const message = `${noun} is not an http or https address`;
    return err({ code: "url_invalid", message, fix: "write https://host/path" });
  }
  if (url.username !== "" || url.password !== "") {
    const message = `${noun} holds a user name or password`;
    return err({ code: "url_invalid", message, fix: "remove what stands before the @" });
  }
  if (text.includes("#")) {
    return err({ code: "url_invalid", message: `${noun} holds a #`, fix: "remove it" });
  }
  if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
    const message = `${noun} is plain http beyond this machine`;
    return err({ code: "url_plain", message, fix: "write https" });
  }
  return ok(url);
}

/** @returns The origin, canonical; a problem for anything that is more than an origin. */
export function readOrigin(text: string, noun: string, advice: string): Result<URL, Problem> {
  const url = parseHttpUrl(text);
  if (url === undefined) {
    const message = `${noun} is not an http or https address`;
    return err({ code: "url_invalid", message, fix: advice });
  }
  const isOrigin =
    url.username === "" &&
    url.password === "" &&
    url.pathname === "/" &&
    url.search === "" &&
    !/[?#@]/.test(text);
  if (isOrigin) return ok(url);
  const message = `${noun} holds more than scheme, host and port`;
  return err({ code: "url_invalid", message, fix: advice });
}

/** The URL parser mends white space, backslashes and missing slashes; here they are mistakes. */
function parseHttpUrl(text: string): URL | undefined {
  if (!/^https?:\/\/[^\s\\/?#]+[^\s\\]*$/i.test(text)) return undefined;
  return URL.parse(text) ?? undefined;
}

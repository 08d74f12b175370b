/**
 * Where people may be sent after a sign-in: only ever to origins that this gate serves with
 * sign-in, whatever the address that they are to return to looks like.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import { canonicalHost } from "../lib/host.ts";
import type { Inquiry } from "../types.ts";

export type Origins = {
  /** The gate's own, at which the provider knows it: `https://gate.acme.dev`. */
  readonly public: string;
  /** Whether cookies are for https alone. */
  readonly secure: boolean;
  /**
   * The origin that a request came to, as browsers see it; `undefined` where people cannot sign in
   * for that host: they do so at the public one.
   */
  of(inquiry: Pick<Inquiry, "host">): string | undefined;
  /**
   * Reads an address to return to.
   *
   * @param origin Of the request; a path is a path there.
   * @returns An absolute address of an origin that is served, in normal form; or `undefined`.
   */
  readReturn(text: string, origin: string): URL | undefined;
};

/** What a cookie can carry beside the rest; longer addresses lose their query. */
export const LONGEST_RETURN = 2_048;

/** Visible ASCII without the backslash, which browsers read as a slash. */
const PLAIN = /^[\x21-\x5b\x5d-\x7e]+$/;
/** Of the gate itself: whoever returned there would be sent round in a circle. */
const RESERVED = /^\/+\.claimgate(?:\/|$)/i;

/** Whether browsers come by https, so that cookies are for that alone. */
export function isSecure({ publicUrl }: Pick<Config, "publicUrl">): boolean {
  return publicUrl?.startsWith("https:") === true;
}

export function createOrigins(config: Pick<Config, "publicUrl" | "routes">): Origins {
  const home = new URL(config.publicUrl ?? "http://localhost");
  const port = home.port === "" ? "" : `:${home.port}`;
  const homeHost = canonicalHost(home.hostname) ?? home.hostname;
  const hosts = config.routes.flatMap(({ login, match }) =>
    login !== undefined && match.host !== undefined ? [match.host] : [],
  );

  function servesHost(host: string): boolean {
    if (host === homeHost || hosts.includes(host)) return true;
    const parent = host.slice(host.indexOf(".") + 1);
    return host.includes(".") && hosts.includes(`*.${parent}`);
  }

  function serves(url: URL): boolean {
    if (url.protocol !== home.protocol || url.port !== home.port) return false;
    const host = canonicalHost(url.hostname);
    return host !== undefined && host === url.hostname && servesHost(host);
  }

  return {
    public: home.origin,
    secure: isSecure(config),
    of: ({ host }) => (servesHost(host) ? `${home.protocol}//${host}${port}` : undefined),
    readReturn(text, origin) {
      if (text.length > LONGEST_RETURN || !PLAIN.test(text)) return undefined;
      const isPath = /^\/(?!\/)/.test(text);
      const url = URL.parse(text, isPath ? origin : undefined);
      if (url === null || !serves(url) || url.username !== "" || url.password !== "") {
        return undefined;
      }
      // Spelled as a browser would: `https:evil` and `https:/evil` are addresses, too.
      const rest = isPath ? "/" : text.slice(url.origin.length);
      if (!isPath && !text.startsWith(url.origin)) return undefined;
      if (rest !== "" && !/^[/?#]/.test(rest)) return undefined;
      return RESERVED.test(decodedPath(url)) ? new URL("/", url) : url;
    },
  };
}

function decodedPath({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname; // A bad escape: it leads nowhere of ours.
  }
}

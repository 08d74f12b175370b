/**
 * As much of a browser as signing in needs: cookies for each host, redirects one by one. Every
 * host is on this machine.
 *
 * @module
 */

export type Hop = {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

type GoOptions = {
  readonly method?: string;
  readonly body?: string | URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Browser = {
  /** One request; its answer's cookies are kept. */
  readonly go: (url: string, options?: GoOptions) => Promise<Hop>;
  /** A request and all that it leads to. @returns Each answer, the last one last. */
  readonly follow: (url: string, options?: GoOptions) => Promise<readonly [...Hop[], Hop]>;
  /** By host, name and value. */
  readonly cookies: Map<string, Map<string, string>>;
};

const MOST_HOPS = 20;

/** What a person's navigation has. */
const NAVIGATION = {
  Accept: "text/html,application/xhtml+xml,*/*;q=0.8",
  "Sec-Fetch-Mode": "navigate",
};

export function openBrowser(): Browser {
  const cookies: Browser["cookies"] = new Map();

  function keep({ hostname }: URL, headers: Headers): void {
    const jar = cookies.get(hostname) ?? new Map<string, string>();
    cookies.set(hostname, jar);
    for (const line of headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
      const at = pair.indexOf("=");
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      const isGone = attributes.some(
        (one) => /^max-age=0$/i.test(one) || /^expires=thu, 01 jan 1970/i.test(one),
      );
      if (isGone) jar.delete(name);
      else jar.set(name, value);
    }
  }

  async function go(address: string, options: GoOptions = {}): Promise<Hop> {
    const url = new URL(address);
    const jar = cookies.get(url.hostname);
    const cookie = [...(jar ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
    const target = new URL(url);
    // Names below localhost need a resolver that not every machine has.
    target.hostname = "127.0.0.1";
    const response = await fetch(target, {
      method: options.method ?? "GET",
      ...(options.body !== undefined && { body: options.body }),
      headers: {
        ...NAVIGATION,
        Host: url.host,
        ...(cookie !== "" && { Cookie: cookie }),
        ...options.headers,
      },
      redirect: "manual",
    });
    keep(url, response.headers);
    const { status, headers } = response;
    return { url: url.href, status, headers, text: await response.text() };
  }

  async function follow(address: string, options?: GoOptions) {
    let last = await go(address, options);
    const hops: Hop[] = [];
    for (;;) {
      const to = last.headers.get("location");
      if (last.status < 300 || last.status > 399 || to === null) return [...hops, last] as const;
      if (hops.length > MOST_HOPS) throw new Error(`The browser goes in circles: ${last.url}`);
      hops.push(last);
      last = await go(new URL(to, last.url).href);
    }
  }

  return { go, follow, cookies };
}

/** The last of several answers. */
export function lastOf(hops: readonly [...Hop[], Hop]): Hop {
  const last = hops.at(-1);
  if (last === undefined) throw new Error("There is always an answer");
  return last;
}

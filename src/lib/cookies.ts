/**
 * Cookies as a request brings them and as an answer sets them (RFC 6265). Pure.
 *
 * @module
 */

/** @returns Each value that stands under this very name, in order. */
export function cookiesNamed(header: string | null, name: string): string[] {
  return cookiesBeginning(header, `${name}=`).map(({ value }) => value);
}

/** @returns Name and value of each cookie whose text `name=value` begins so, in order. */
export function cookiesBeginning(
  header: string | null,
  beginning: string,
): { readonly name: string; readonly value: string }[] {
  if (header?.includes(beginning) !== true) return [];
  return header
    .split(";") // all of them: one more of a name, however far behind, makes it doubtful
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(beginning) && pair.includes("="))
    .map((pair) => {
      const end = pair.indexOf("=");
      return { name: pair.slice(0, end), value: pair.slice(end + 1) };
    });
}

type CookieToSet = {
  /** One with `__Host-` must be `secure`. */
  readonly name: string;
  /** Without `;`, white space or controls. */
  readonly value: string;
  /** Absent: until the browser is closed. 0 removes it. */
  readonly maxAgeSeconds?: number;
  readonly secure: boolean;
};

/** A value of `Set-Cookie` for this host alone, which no script sees. */
export function setCookie({ name, value, maxAgeSeconds, secure }: CookieToSet): string {
  const parts = [`${name}=${value}`, "Path=/", "HttpOnly", "SameSite=Lax"];
  if (secure) parts.push("Secure");
  if (maxAgeSeconds !== undefined) parts.push(`Max-Age=${maxAgeSeconds}`);
  return parts.join("; ");
}

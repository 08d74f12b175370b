/**
 * Takes a credential out of a cookie header or a query and leaves every other byte as it
 * came. Pure.
 *
 * @module
 */

/**
 * @param header The value of `Cookie`.
 * @param names Compared exactly: cookie names have case (RFC 6265 §5.4).
 * @param beginnings Whatever begins so goes, too.
 * @returns What is left; empty when nothing is.
 */
export function withoutCookies(
  header: string,
  names: readonly string[],
  beginnings: readonly string[] = [],
): string {
  const isThere = (text: string) => header.includes(text);
  if (!names.some(isThere) && !beginnings.some(isThere)) return header;
  const pairs = header.split(";");
  const kept = pairs.filter((pair) => {
    const name = nameOf(pair).trim();
    return !names.includes(name) && !beginnings.some((beginning) => name.startsWith(beginning));
  });
  if (kept.length === pairs.length) return header;
  const left = kept.join(";");
  return pairs[0] === kept[0] ? left : left.trimStart();
}

/**
 * @param query With its question mark, or empty.
 * @param names Compared with the decoded name, as it was read when the credential was taken.
 * @returns What is left, with its question mark; empty when nothing is.
 */
export function withoutParameters(query: string, names: readonly string[]): string {
  if (names.length === 0 || query === "") return query;
  const pairs = query.slice(1).split("&");
  const kept = pairs.filter((pair) => !names.includes(decodeName(nameOf(pair))));
  if (kept.length === pairs.length) return query;
  return kept.length === 0 ? "" : `?${kept.join("&")}`;
}

function nameOf(pair: string): string {
  const end = pair.indexOf("=");
  return end < 0 ? pair : pair.slice(0, end);
}

/** The reading of `URLSearchParams`: `+` is a space, bad escapes stay. The `&` keeps a leading `?`. */
function decodeName(name: string): string {
  if (!name.includes("%") && !name.includes("+")) return name;
  return [...new URLSearchParams(`&${name}=`).keys()][0] ?? "";
}

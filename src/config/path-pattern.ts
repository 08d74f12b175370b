/**
 * Paths as routes write them. They are held against canonical request paths, so one that is
 * not canonical itself would never match and is refused instead.
 *
 * @module
 */
import { readPath } from "../lib/path.ts";
import { err, ok, type Result } from "../result.ts";

/** Under every host; no route is asked for these. */
const RESERVED = "/.claimgate/";

type Complaint = { readonly message: string; readonly fix: string };

/** @param text `match.path`: an exact path, or one that ends in `/*`. */
export function checkPathPattern(text: string): Result<string, Complaint> {
  const fixed = text.endsWith("/*") ? text.slice(0, -2) : text;
  if (fixed.includes("*")) {
    return complain("* stands only at the end, after a slash", "write prefix/*");
  }
  if (text.startsWith(RESERVED)) {
    return complain(`${RESERVED} belongs to the gate itself`, "choose another path");
  }
  if (!text.startsWith("/")) return complain("a path begins with /", `write /${text}`);
  if (text === "/*") return ok(text);
  const plain = checkPlainPath(fixed);
  if (!plain.ok) return plain;
  if (text !== fixed && fixed.endsWith("/")) {
    return complain("two slashes in a row", `write ${fixed}*`);
  }
  return ok(text);
}

/** @param text `stripPrefix` or `addPrefix`: put together with paths, so without a slash at its end. */
export function checkPrefix(text: string): Result<string, Complaint> {
  if (text.includes("*")) return complain("* has no meaning here", "write the prefix alone");
  if (text === "/") return complain("/ changes nothing", "remove it");
  const plain = checkPlainPath(text);
  if (!plain.ok) return plain;
  return text.endsWith("/") ? complain("a slash at the end", `write ${text.slice(0, -1)}`) : plain;
}

function checkPlainPath(text: string): Result<string, Complaint> {
  if (!text.startsWith("/")) {
    return complain("a path begins with /", `write /${text}`);
  }
  if (text.includes("?") || text.includes("#")) {
    return complain("a path has no ? or #: routes do not look at the query", "remove it");
  }
  if (text.includes(";")) {
    return complain("a path with ; matches no request", "remove the ; and what belongs to it");
  }
  const read = readPath(text);
  if (!read.ok) return complain(REASONS[read.error] ?? "not a path", "write the path plainly");
  if (read.value.ambiguous) {
    return complain(
      "servers read this path in more than one way",
      "write it without //, %2f, %5c and %25",
    );
  }
  const { path } = read.value;
  return path === text ? ok(text) : complain("escaped where it need not be", `write ${path}`);
}

const REASONS: Readonly<Record<string, string>> = {
  path_character: "characters that a path holds only escaped",
  path_escape_invalid: "% without two hexadecimal digits",
  path_utf8_invalid: "escapes that are not UTF-8",
  path_control: "control characters",
  path_dot_segment: "a . or .. segment",
};

function complain(message: string, fix: string): Result<string, Complaint> {
  return err({ message, fix });
}

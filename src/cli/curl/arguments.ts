/**
 * Reads curl's arguments as far as it takes to know where the token would go. What is not known
 * here is refused: an option that sends the request elsewhere must not slip through. Pure.
 *
 * @module
 */
import { err, ok, type Result } from "../../result.ts";

type CurlCall = {
  /** The one address, as it was written. */
  readonly url: string;
  /** All others, in their order. */
  readonly rest: readonly string[];
  /** Whether curl is to go where it is sent on to. */
  readonly follows: boolean;
};

/** Options with a value, of one letter and of words. */
const VALUED_LETTERS = "XHdFoTAemwrbcDEC";
const VALUED: ReadonlySet<string> = new Set(
  `request header data data-raw data-binary data-ascii data-urlencode json form form-string output
   output-dir upload-file user-agent referer max-time connect-timeout write-out range cookie
   cookie-jar dump-header cacert capath cert cert-type key key-type retry retry-delay
   retry-max-time max-redirs limit-rate continue-at max-filesize speed-limit speed-time
   time-cond url-query expect100-timeout tls-max`.split(/\s+/),
);
/** Options without one. `-v` and `--trace` would print the token. */
const PLAIN_LETTERS = "sSiILfOJGgRN#046a";
const PLAIN: ReadonlySet<string> = new Set(
  `silent show-error include head location fail fail-with-body fail-early compressed remote-name
   remote-header-name get globoff remote-time no-buffer progress-bar no-progress-meter http1.0
   http1.1 http2 ipv4 ipv6 append create-dirs raw retry-connrefused retry-all-errors tlsv1.2
   tlsv1.3 post301 post302 post303`.split(/\s+/),
);

/** @returns The call; or what is wrong with it, to be said to the person. */
export function readCurlArguments(args: readonly string[]): Result<CurlCall, string> {
  const rest: string[] = [];
  const urls: string[] = [];
  let follows = false;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-") || arg === "-") {
      urls.push(arg);
      continue;
    }
    const read = arg.startsWith("--") ? readWord(arg.slice(2)) : readLetters(arg.slice(1));
    if (read === undefined) {
      const name = arg.startsWith("--") ? arg : arg.slice(0, 2);
      return err(`${name} is not taken here: give it to curl itself`);
    }
    follows ||= read.follows;
    rest.push(arg);
    if (!read.wantsValue) continue;
    at += 1;
    const value = args[at];
    if (value === undefined) return err(`${arg} needs a value`);
    rest.push(value);
  }
  if (rest.some(isAuthorization)) return err("Authorization is set here already: leave yours out");
  const [url, ...others] = urls;
  if (url === undefined) return err("an address is missing: claimgate curl https://…");
  // The token goes along to each of them.
  if (others.length > 0) return err("one address at a time");
  return ok({ url, rest, follows });
}

type Read = { readonly wantsValue: boolean; readonly follows: boolean };

function readWord(name: string): Read | undefined {
  if (VALUED.has(name)) return { wantsValue: true, follows: false };
  return PLAIN.has(name) ? { wantsValue: false, follows: name === "location" } : undefined;
}

/** `-sSL`, `-XPOST`, `-o file`. */
function readLetters(letters: string): Read | undefined {
  let follows = false;
  for (const [at, letter] of [...letters].entries()) {
    if (VALUED_LETTERS.includes(letter)) return { wantsValue: at === letters.length - 1, follows };
    if (!PLAIN_LETTERS.includes(letter)) return undefined;
    follows ||= letter === "L";
  }
  return { wantsValue: false, follows };
}

function isAuthorization(arg: string): boolean {
  return /^(?:-[^-]*H)?\s*authorization\s*[:;]/i.test(arg);
}

/**
 * Turns what loading a module threw into findings with the place to mend.
 *
 * @module
 */
import type { Finding } from "../errors.ts";
import type { SourceFile } from "./discover.ts";
import { displayPath } from "./display-path.ts";

/** A stack frame's place: `at name (/path/file.ts:3:7)` or `at /path/file.ts:3:7`. */
const FRAME = /((?:\/|[A-Za-z]:\\)[^()]*):(\d+):(\d+)\)?$/;
const MESSAGE_LIMIT = 500;

/**
 * @param error What `import()` rejected with.
 * @param source The policy that was being loaded.
 * @param sources All modules of the folder: a helper may be the one to blame.
 */
export function loadFindings(
  error: unknown,
  source: SourceFile,
  sources: readonly SourceFile[],
): Finding[] {
  if (error instanceof AggregateError) {
    // Only who imports a broken helper first is told its errors; the others get but its path.
    const errors: readonly unknown[] = error.errors ?? [];
    if (errors.length === 0) return [brokenFinding(error, source)];
    return errors.flatMap((one) => loadFindings(one, source, sources));
  }
  if (error instanceof BuildMessage) return [syntaxFinding(error, source)];
  if (error instanceof ResolveMessage) return [resolveFinding(error, source, sources)];
  return [thrownFinding(error, source, sources)];
}

function syntaxFinding({ message, position }: BuildMessage, source: SourceFile): Finding {
  return {
    severity: "error",
    code: "policy_syntax",
    message: oneLine(message),
    file: displayPath(position?.file || source.file),
    line: Math.max(1, position?.line ?? 1),
    column: Math.max(1, position?.column ?? 1),
    fix: "mend the syntax",
  };
}

function brokenFinding({ message }: Error, source: SourceFile): Finding {
  const file = /"([^"]+)"$/.exec(message)?.[1] ?? source.file;
  return {
    severity: "error",
    code: "policy_syntax",
    message: oneLine(message),
    file: displayPath(file),
    line: 1,
    column: 1,
    fix: "mend the syntax",
  };
}

function resolveFinding(
  { referrer, specifier }: ResolveMessage,
  source: SourceFile,
  sources: readonly SourceFile[],
): Finding {
  const importer = sources.find(({ file }) => file === referrer) ?? source;
  const known = specifier.startsWith(".") ? "file" : "package";
  return {
    severity: "error",
    code: "policy_import",
    message: `cannot find ${known} ${JSON.stringify(specifier)}`,
    file: displayPath(referrer || source.file),
    ...placeOfText(importer.text, [`"${specifier}"`, `'${specifier}'`]),
    fix:
      known === "file"
        ? "mend the path; helpers are imported with their extension: ./_helper.ts"
        : 'import from "claimgate", from a helper beside the policy, or from node:',
  };
}

function thrownFinding(
  error: unknown,
  source: SourceFile,
  sources: readonly SourceFile[],
): Finding {
  const what = error instanceof Error ? wordsOf(error) : "it threw what is no Error";
  const known = new Set(sources.map(({ file }) => file));
  const stack = error instanceof Error ? error.stack : undefined;
  const place = stackPlaces(stack).find(({ file }) => known.has(file));
  return {
    severity: "error",
    code: "policy_threw",
    message: oneLine(`${source.path} cannot be loaded: ${what}`),
    file: displayPath(place?.file ?? source.file),
    line: place?.line ?? 1,
    column: place?.column ?? 1,
    fix: "mend what the module does when it is loaded",
  };
}

/** Of an error of ours, which has no name of its own, the message alone. */
function wordsOf({ name, message }: Error): string {
  return name === "Error" ? message : `${name}: ${message}`;
}

/** The places that a stack names, innermost first. */
export function stackPlaces(
  stack: string | undefined = "",
): { file: string; line: number; column: number }[] {
  return stack.split("\n").flatMap((frame) => {
    const [, file, line, column] = FRAME.exec(frame) ?? [];
    return file === undefined ? [] : [{ file, line: Number(line), column: Number(column) }];
  });
}

/** Line and column of the first of `texts` that is in `source`; its beginning if none is. */
export function placeOfText(
  source: string,
  texts: readonly string[],
): { line: number; column: number } {
  const at = texts.map((text) => source.indexOf(text)).filter((index) => index >= 0);
  if (at.length === 0) return { line: 1, column: 1 };
  const before = source.slice(0, Math.min(...at)).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, MESSAGE_LIMIT);
}

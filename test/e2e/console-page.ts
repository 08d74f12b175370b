/**
 * A page that shows files, changes to them and commands with their output, read as steps that can
 * be done.
 *
 * @module
 */

export type Step = { readonly line: number } & (
  | { readonly kind: "file"; readonly file: string; readonly text: string }
  | { readonly kind: "change"; readonly file: string; readonly text: string }
  | { readonly kind: "command"; readonly command: string; readonly output: string }
);

/** A fence; what follows the language in its first line is the file that it shows. */
const FENCE = /^```(\w+)(?: (\S+))?\n(.*?)^```$/gms;

/**
 * @returns In the order of the page: ```` ```ts FILE ```` shows a file, ```` ```diff FILE ```` changes one,
 *   ```` ```console ```` has commands, each after `$ `, with what they print.
 */
export function stepsOf(page: string): readonly Step[] {
  return [...page.matchAll(FENCE)].flatMap(({ index, 1: language, 2: file, 3: text = "" }) => {
    const line = page.slice(0, index).split("\n").length;
    if (language === "console") return commandsIn(text, line + 1);
    if (file === undefined) return [];
    return [{ kind: language === "diff" ? "change" : "file", file, text, line } as const];
  });
}

function commandsIn(text: string, first: number): readonly Step[] {
  const steps: { kind: "command"; command: string; output: string; line: number }[] = [];
  for (const [index, line] of text.split("\n").slice(0, -1).entries()) {
    const last = steps.at(-1);
    if (line.startsWith("$ ")) {
      steps.push({ kind: "command", command: line.slice(2), output: "", line: first + index });
    } else if (last === undefined) {
      throw new Error(`line ${first + index} is the output of no command`);
    } else if (last.output === "" && last.command.endsWith("\\")) last.command += `\n${line}`;
    else last.output += `${line}\n`;
  }
  return steps;
}

/** @param outputs Of all commands, in their order. @returns The page with them. */
export function withOutputs(page: string, outputs: readonly string[]): string {
  let rest = page;
  let text = "";
  const commands = stepsOf(page).filter((step) => step.kind === "command");
  for (const [index, { command, output }] of commands.entries()) {
    const shown = `$ ${command}\n${output}`;
    const at = rest.indexOf(shown);
    text += `${rest.slice(0, at)}$ ${command}\n${outputs[index] ?? output}`;
    rest = rest.slice(at + shown.length);
  }
  return text + rest;
}

/** @throws Error where what the change knows is not in the text exactly once. */
export function changed(text: string, change: string): string {
  const lines = change.split("\n").slice(0, -1);
  const side = (other: string) =>
    lines
      .filter((line) => !line.startsWith(other))
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  const [before, after] = [side("+"), side("-")];
  if (text.split(before).length !== 2) throw new Error(`not there, or not once:\n${before}`);
  return text.replace(before, () => after);
}

/** @returns Whether it is what the page shows; there, `…` stands for the rest of a line, or for lines. */
export function isShown(output: string, shown: string): boolean {
  const pattern = RegExp.escape(shown)
    .split(RegExp.escape("\n"))
    .map((line) => (line === RegExp.escape("…") ? "(?:.*\\n)*?" : `${line}\\n`))
    .join("")
    .replace(/\\n$/, "")
    .replaceAll(/(?<!\^)…/g, ".*");
  return new RegExp(`^${pattern}$`).test(output);
}

const REQUEST_ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export function requestIdsIn(text: string): readonly string[] {
  return text.match(REQUEST_ID) ?? [];
}

/** What differs from run to run, as words. */
export function normal(text: string): string {
  return text
    .replaceAll(REQUEST_ID, "REQUEST-ID")
    .replaceAll(/\b\d+(?:\.\d+)? ms\b/g, "# ms")
    .replaceAll(/^(?:\d\d-\d\d )?\d\d:\d\d:\d\d\b/gm, "TIME")
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "TIME")
    .replaceAll(/\bid [\w-]{22}(?![\w-])/g, "id TOKEN-ID")
    .replaceAll(/\bcurl\/[\d.]+/g, "curl/VERSION")
    .replaceAll(/[ \t]+$/gm, "");
}

/**
 * What bash and zsh have in common.
 *
 * @module
 */
import type { CompletedCommand, Value } from "./command-tree.ts";

/** @returns The text in single quotes, whatever it holds. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The branches that follow a command line word by word: a command's name leads to it, an option
 * that takes a value says what comes next.
 *
 * @param valueWord What `$value` then is.
 */
export function steps(
  commands: readonly CompletedCommand[],
  valueWord: (value: Value) => string,
): string {
  return commands
    .flatMap(({ path, commands: below, options }) => {
      const at = path.join(" ");
      const inward = below.map(({ path: further }) => {
        const name = further.at(-1) ?? "";
        return `      ${quoted(`${at} ${name}`)}) at=${quoted(further.join(" "))} ;;`;
      });
      const values = options.flatMap(({ names, value }) =>
        value === undefined
          ? []
          : [
              `      ${names.map((name) => quoted(`${at} ${name}`)).join(" | ")}) value=${quoted(valueWord(value))} ;;`,
            ],
      );
      return [...inward, ...values];
    })
    .join("\n");
}

/**
 * The commands of a program as completion sees them, whatever the shell.
 *
 * @module
 */
import type { Argument, Command, Option } from "commander";

/** What may stand there: a file's path, one of a few words, or what no shell can know. */
export type Value =
  | { readonly kind: "file" | "unknown" }
  | { readonly kind: "choice"; readonly words: readonly string[] };

export type CompletedOption = {
  /** `--config`, `-h`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent for an option that takes none, or that may go without. */
  readonly value?: Value;
};

export type CompletedCommand = {
  /** The words after the program's name: [], ["check"], ["policies", "new"]. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** What its arguments may be; those that no shell can know are left out. */
  readonly values: readonly Value[];
  /** Its own name is the last word of its path. */
  readonly commands: readonly CompletedCommand[];
};

export function commandTree(command: Command, path: readonly string[] = []): CompletedCommand {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    options: help.visibleOptions(command).map(optionOf),
    values: command.registeredArguments.map(argumentValue).filter(({ kind }) => kind !== "unknown"),
    commands: help
      .visibleCommands(command)
      .filter((one) => one.name() !== "help")
      .map((one) => commandTree(one, [...path, one.name()])),
  };
}

/** @returns The command itself and all below it, outermost first. */
export function allCommands(command: CompletedCommand): readonly CompletedCommand[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function optionOf({
  long,
  short,
  flags,
  description,
  required,
  argChoices,
}: Option): CompletedOption {
  const names = [long, short].filter((name) => typeof name === "string");
  return {
    names,
    description,
    ...(required && { value: valueIn(flags, argChoices) }),
  };
}

function argumentValue(argument: Argument): Value {
  return valueIn(`<${argument.name()}>`, argument.argChoices);
}

function valueIn(flags: string, words: readonly string[] | undefined): Value {
  if (words !== undefined) return { kind: "choice", words };
  const isPath = /<[^>]*\b(?:file|dir|folder|path)\b/i.test(flags);
  return { kind: isPath ? "file" : "unknown" };
}

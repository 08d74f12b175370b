import {
  allCommands,
  type CompletedCommand,
  type CompletedOption,
  type Value,
} from "./command-tree.ts";

/** To be sourced, or put into `~/.config/fish/completions/claimgate.fish`. */
export function fishCompletion(program: CompletedCommand): string {
  const commands = allCommands(program);
  const known = commands
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => quoted(path.join(" ")));
  return `# fish completion for claimgate
function __claimgate_at
    set -l at
    for word in (commandline -opc)[2..-1]
        set -l further (string join ' ' -- $at $word)
        if contains -- $further ${known.join(" ")}
            set at $at $word
        end
    end
    test "$at" = "$argv"
end
complete -c claimgate -f
${commands.flatMap(linesOf).join("\n")}
`;
}

function linesOf({ path, commands, options, values }: CompletedCommand): string[] {
  const when = `complete -c claimgate -n ${quoted(["__claimgate_at", ...path].join(" "))}`;
  return [
    ...commands.map(
      ({ path: further, description }) =>
        `${when} -a ${quoted(further.at(-1) ?? "")} -d ${quoted(description)}`,
    ),
    ...values.map((value) => `${when}${argument(value)}`),
    ...options.map((option) => `${when}${flag(option)} -d ${quoted(option.description)}`),
  ];
}

function flag({ names, value }: CompletedOption): string {
  const words = names.map((name) =>
    name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`,
  );
  if (value === undefined) return words.join("");
  // -x: takes a value, and no file.
  return `${words.join("")} ${value.kind === "file" ? "-r -F" : `-x${argument(value)}`}`;
}

function argument(value: Value): string {
  if (value.kind === "choice") return ` -a ${quoted(value.words.join(" "))}`;
  return value.kind === "file" ? " -F" : "";
}

/** In fish, only a backslash and the quote itself mean something within single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

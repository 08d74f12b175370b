import { allCommands, type CompletedCommand, type Value } from "./command-tree.ts";
import { quoted, steps } from "./shell-text.ts";

/** To be sourced after compinit, or put into a folder of fpath as `_claimgate`. */
export function zshCompletion(program: CompletedCommand): string {
  const commands = allCommands(program);
  const cases = commands.map(
    (command) => `    ${quoted(command.path.join(" "))})\n${offer(command)}      ;;`,
  );
  return `#compdef claimgate
# zsh completion for claimgate
_claimgate() {
  local at='' value='' files='' word i
  local -a subcommands flags choices
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $value ]]; then value=''; continue; fi
    case "$at $word" in
${steps(commands, valueWord)}
    esac
  done
  case $value in
    file) _files; return ;;
    unknown) return ;;
    ?*) compadd -- \${=value}; return ;;
  esac
  case $at in
${cases.join("\n")}
  esac
  if [[ $PREFIX == -* ]]; then
    _describe -o option flags
    return
  fi
  (( \${#choices} )) && compadd -- $choices
  (( \${#subcommands} )) && _describe command subcommands
  if [[ -n $files ]]; then _files; fi
}
if [[ $funcstack[1] == _claimgate ]]; then _claimgate "$@"; else compdef _claimgate claimgate; fi
`;
}

function offer({ commands, options, values }: CompletedCommand): string {
  const subcommands = commands.map(({ path, description }) =>
    described(path.at(-1) ?? "", description),
  );
  const flags = options.flatMap(({ names, description }) =>
    names.map((name) => described(name, description)),
  );
  const choices = values.flatMap((value) => (value.kind === "choice" ? value.words : []));
  const lines = [
    list("subcommands", subcommands),
    list("flags", flags),
    list("choices", choices.map(quoted)),
    values.some(({ kind }) => kind === "file") ? "      files=1\n" : "",
  ];
  return lines.join("");
}

function list(name: string, items: readonly string[]): string {
  return items.length === 0
    ? ""
    : `      ${name}=(\n        ${items.join("\n        ")}\n      )\n`;
}

/** As _describe takes it: a colon ends the name. */
function described(name: string, description: string): string {
  return quoted(`${name}:${description.replaceAll(/\s+/g, " ")}`);
}

function valueWord(value: Value): string {
  return value.kind === "choice" ? value.words.join(" ") : value.kind;
}

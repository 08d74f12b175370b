import { allCommands, type CompletedCommand, type Value } from "./command-tree.ts";
import { quoted, steps } from "./shell-text.ts";

/** For bash from 3.2 on; needs nothing of the bash-completion package. */
export function bashCompletion(program: CompletedCommand): string {
  const commands = allCommands(program);
  const cases = commands.map(
    (command) => `    ${quoted(command.path.join(" "))}) ${offer(command)} ;;`,
  );
  return `# bash completion for claimgate
_claimgate() {
  local cur=\${COMP_WORDS[COMP_CWORD]} at='' value='' words='' files='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    # bash takes --config=FILE for three words.
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $value ]]; then value=''; continue; fi
    case "$at $word" in
${steps(commands, valueWord)}
    esac
  done
  if [[ $cur == '=' ]]; then cur=''; fi
  if [[ $value == file ]]; then files=1
  elif [[ $value == unknown ]]; then return
  elif [[ -n $value ]]; then words=$value
  else case $at in
${cases.join("\n")}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n $files && $cur != -* ]]; then
    local IFS=$'\\n'
    compopt -o filenames 2> /dev/null
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -F _claimgate claimgate
`;
}

function offer({ commands, options, values }: CompletedCommand): string {
  const words = [
    ...commands.map(({ path }) => path.at(-1) ?? ""),
    ...values.flatMap((value) => (value.kind === "choice" ? value.words : [])),
    ...options.flatMap(({ names }) => names),
  ];
  const takesFiles = values.some(({ kind }) => kind === "file");
  return `words=${quoted(words.join(" "))}${takesFiles ? " files=1" : ""}`;
}

function valueWord(value: Value): string {
  return value.kind === "choice" ? value.words.join(" ") : value.kind;
}

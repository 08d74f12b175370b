/**
 * argv → command, and a command's faults → exit codes; nothing else.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { reportFindings } from "./cli/report-findings.ts";
import { type FaultCode, GateError } from "./errors.ts";
import { diskReason } from "./lib/disk-fault.ts";
import { raiseConnectionLimit } from "./proxy/connection-limit.ts";

const EXIT_DOES_NOT_HOLD = 1;
const EXIT_USAGE = 2;
const EXIT_FAULT = 70;

/** What the owner can mend in the configuration; everything else is a fault of ours. */
const DOES_NOT_HOLD: ReadonlySet<FaultCode> = new Set(["config_invalid", "port_taken"]);

type Register = (program: Command) => void;

/** In the order of the help. Each is loaded when it is asked for: what serves starts the sooner. */
const COMMANDS = {
  demo: async () => (await import("./cli/demo.ts")).demoCommand,
  init: async () => (await import("./cli/init.ts")).initCommand,
  serve: async () => (await import("./cli/serve.ts")).serveCommand,
  check: async () => (await import("./cli/check.ts")).checkCommand,
  test: async () => (await import("./cli/test.ts")).testCommand,
  explain: async () => (await import("./cli/explain.ts")).explainCommand,
  replay: async () => (await import("./cli/replay.ts")).replayCommand,
  token: async () => (await import("./cli/token.ts")).tokenCommand,
  tokens: async () => (await import("./cli/tokens.ts")).tokensCommand,
  revoke: async () => (await import("./cli/revoke.ts")).revokeCommand,
  unrevoke: async () => (await import("./cli/unrevoke.ts")).unrevokeCommand,
  audit: async () => (await import("./cli/audit.ts")).auditCommand,
  policies: async () => (await import("./cli/policies.ts")).policiesCommand,
  login: async () => (await import("./cli/login.ts")).loginCommand,
  whoami: async () => (await import("./cli/whoami.ts")).whoamiCommand,
  curl: async () => (await import("./cli/curl.ts")).curlCommand,
  store: async () => (await import("./cli/store.ts")).storeCommand,
  idp: async () => (await import("./cli/idp.ts")).idpCommand,
  schema: async () => (await import("./cli/schema.ts")).schemaCommand,
  completion: async () => (await import("./cli/completion.ts")).completionCommand,
  version: async () => (await import("./cli/version.ts")).versionCommand,
} satisfies Record<string, () => Promise<Register>>;

/** @param args Without the program's own name. Sets `process.exitCode`; never throws. */
async function run(args: readonly string[]): Promise<void> {
  const program = new Command("claimgate")
    .description("Stands in front of web apps and APIs: verifies tokens, asks policies, forwards")
    .exitOverride()
    .configureHelp({ sortSubcommands: false })
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "claimgate: ")),
    });
  // Before more is loaded: the process begins again.
  if (args[0] === "serve") raiseConnectionLimit();
  for (const load of commandsFor(args[0])) (await load())(program);
  hintAtHelp(program, "claimgate");
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (fault) {
    process.exitCode = report(fault);
  }
}

/** Whoever mistypes an option is led to the help of that very command. */
function hintAtHelp(command: Command, words: string): void {
  command.showHelpAfterError(`(${words} --help tells more)`);
  for (const one of command.commands) hintAtHelp(one, `${words} ${one.name()}`);
}

/** The one that is named, or all of them for the help, for completion, or for what is no command. */
function commandsFor(word = ""): (() => Promise<Register>)[] {
  const named = Object.entries(COMMANDS).filter(([name]) => name === word && name !== "completion");
  return named.length > 0 ? named.map(([, load]) => load) : Object.values(COMMANDS);
}

/** Says what went wrong on stderr. @returns The exit code. */
function report(fault: unknown): number {
  // commander has said it already; help and version end with 0.
  if (fault instanceof CommanderError) return fault.exitCode === 0 ? 0 : EXIT_USAGE;
  if (!(fault instanceof GateError)) {
    console.error("claimgate: a fault of its own:", fault);
    return EXIT_FAULT;
  }
  if (fault.findings.length > 0) reportFindings(fault.findings);
  console.error(`claimgate: ${fault.message}`);
  if (fault.code === "usage_wrong") return EXIT_USAGE;
  return DOES_NOT_HOLD.has(fault.code) ? EXIT_DOES_NOT_HOLD : EXIT_FAULT;
}

/** Not an uncaught fault with its stack: a reader that has left, as `head` does, is none at all. */
function onClosedOutput(fault: NodeJS.ErrnoException): void {
  if (fault.code === "EPIPE") return;
  console.error(`claimgate: cannot write the output: ${diskReason(fault)}`);
  process.exitCode = EXIT_FAULT;
}

// Results alone are on stdout: what a policy prints must not end up within them.
for (const name of ["log", "info", "debug"] as const) console[name] = console.error;
process.stdout.on("error", onClosedOutput);
process.stderr.on("error", onClosedOutput);
await run(process.argv.slice(2));

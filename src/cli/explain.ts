/**
 * `claimgate explain`: why a request is decided as it is, step by step; a recorded one by its
 * id, or one that nobody made.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { LONGEST_TOKEN } from "../identity/compact.ts";
import { type Explanation, explanationJson } from "./explain/explanation.ts";
import { explainMadeUp, loadAssembly, type MadeUpFlags, readMadeUp } from "./explain/made-up.ts";
import { explainRecorded } from "./explain/recorded.ts";
import { explanationTree } from "./explain/tree.ts";
import { note } from "./note.ts";
import { CONFIG_OPTION, collect } from "./options.ts";
import { paintFor, printableJson } from "./paint.ts";

type ExplainFlags = MadeUpFlags & { readonly json?: true; readonly config: string };

const DENIED = 1;
const OF_THE_REQUEST = [
  "url",
  "method",
  "ip",
  "header",
  "at",
  "token",
  "claims",
  "issuer",
] as const satisfies readonly (keyof MadeUpFlags)[];

export function explainCommand(program: Command): void {
  program
    .command("explain")
    .description("Say why a request is decided as it is; exit 1 where it is denied")
    .argument("[id]", "of a recorded request: X-Request-Id of its answer, or the page that it got")
    .option("--url <url>", "of a request that nobody made")
    .option("--method <method>", "its method (default GET)")
    .option("--ip <address>", "the client's address (default 127.0.0.1)")
    .option("--header <header>", "'Name: value'; may be given several times", collect)
    .option("--at <time>", "when it comes, for token and policies: 2026-01-05T10:00:00Z")
    .option("--token <token>", "what it brings; - reads it from stdin")
    .option("--claims <json>", "instead of a token: what one would say, with nothing signed")
    .option("--issuer <name>", "whose token --claims stands for, where the route trusts several")
    .option("--json", "print it as JSON")
    .option(...CONFIG_OPTION)
    .addHelpText(
      "after",
      `
The gate's own code decides; nothing is sent, counted or recorded. Claims without iss, aud or exp
get those of the route's issuer, and the answer says so.

Examples:
  claimgate explain 019a3c1e-8a5b-7c3d-9f00-2b6f5c0f7a11
  claimgate explain --url https://app.acme.dev/orders/1 --claims '{"sub":"bob","roles":["guest"]}'
  claimgate explain --url https://app.acme.dev/orders/1 --token - < token.txt`,
    )
    .action((id: string | undefined, flags: ExplainFlags) => explain(id, flags));
}

async function explain(id: string | undefined, flags: ExplainFlags): Promise<void> {
  const explanation = id === undefined ? await explainFlags(flags) : await explainId(id, flags);
  if (explanation.decision === "deny") process.exitCode = DENIED;
  const text = flags.json
    ? `${printableJson(explanationJson(explanation))}\n`
    : explanationTree(explanation, paintFor(process.stdout));
  process.stdout.write(text);
}

function explainId(id: string, flags: ExplainFlags): Promise<Explanation> {
  const given = OF_THE_REQUEST.find((name) => flags[name] !== undefined);
  if (given === undefined) return explainRecorded(id, flags.config);
  throw usage(`a request id says all of the request: leave --${given} out, or the id`);
}

async function explainFlags(flags: ExplainFlags): Promise<Explanation> {
  const { url, token, claims, issuer, config } = flags;
  if (url === undefined) throw usage("name a request id, or a request with --url");
  if (token !== undefined && claims !== undefined) {
    throw usage("--token and --claims exclude each other: keep one");
  }
  if (issuer !== undefined && claims === undefined) {
    throw usage("--issuer goes with --claims: a token says itself whose it is");
  }
  const given = token === "-" ? await readStdin() : token;
  const bare = given?.trim().replace(/^Bearer +/i, "");
  const wanted = readMadeUp({ ...flags, ...(bare !== undefined && { token: bare }) }, Date.now());
  const assembly = await loadAssembly(config);
  try {
    return await explainMadeUp(wanted, assembly, config, note);
  } finally {
    assembly.policies.dispose();
  }
}

/** Up to what is more than any token has. @throws GateError `usage_wrong` */
async function readStdin(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > 2 * LONGEST_TOKEN)
      throw usage("what comes on stdin is longer than any token");
  }
  if (text.trim() === "") throw usage("--token - found nothing on stdin");
  return text;
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}

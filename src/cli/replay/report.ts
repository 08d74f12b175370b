/**
 * What a replay found, for people and for machines.
 *
 * @module
 */
import { counted, type Paint, type Tint, visible } from "../paint.ts";
import { type Change, type Counter, codeOf, type Group, type Tally } from "./tally.ts";

/** What `--json` prints: nothing but what the contract names. */
export function replayJson(tally: Tally): object {
  const { decisions, unchanged, newlyDenied, newlyAllowed, unknown } = tally;
  return {
    decisions,
    unchanged,
    newlyDenied: newlyDenied.examples,
    newlyAllowed: newlyAllowed.examples,
    unknown: unknown.examples,
  };
}

const MOST_NAMED = 8;
const MOST_EXAMPLES = 5;

/** @returns Whole lines. */
export function replayText(tally: Tally, paint: Paint): string {
  const { decisions, unchanged, deniedOtherwise, newlyDenied, newlyAllowed, unknown } = tally;
  const row = (count: number, what: string, tint: Tint) => {
    const line = `${amount(count).padStart(amount(decisions).length + 2)} ${what}`;
    return `${count === 0 ? paint(line, "dim") : paint(line, tint)}\n`;
  };
  const otherwise =
    deniedOtherwise === 0 ? "" : `, ${amount(deniedOtherwise)} of them denied for another reason`;
  let text = `${paint(`${amount(decisions)} ${decisions === 1 ? "decision" : "decisions"}`, "bold")}\n`;
  text += row(unchanged, `unchanged${otherwise}`, "green");
  text += row(newlyDenied.count, "newly denied", "red");
  text += row(newlyAllowed.count, "newly allowed", "yellow");
  text += row(unknown.count, "unknown", "cyan");
  text += groupText("Newly denied", newlyDenied, paint);
  text += groupText("Newly allowed", newlyAllowed, paint);
  if (unknown.count > 0) {
    text += `\n${paint("Unknown", "bold")}\n${lackingLines(tally).join("")}`;
    text += paint(
      "  audit.claims names the claims that are kept beyond those that policies declare\n",
      "dim",
    );
  }
  if (tally.shadow.size > 0) {
    text += `\n${paint("Under shadow", "bold")}\n`;
    for (const [what, count] of ranked(tally.shadow).slice(0, MOST_NAMED)) {
      text += `  ${visible(what)} would have refused ${counted(count, "decision")}\n`;
    }
  }
  return text;
}

/** `  412 decisions lack claim department`, the most frequent first. */
function lackingLines({ lacking }: Tally): readonly string[] {
  return ranked(lacking).map(([what, count]) => {
    const isOne = count === 1;
    const verb = what.endsWith("()") ? (isOne ? "asks" : "ask") : isOne ? "lacks" : "lack";
    return `  ${amount(count)} ${isOne ? "decision" : "decisions"} ${verb} ${visible(what)}\n`;
  });
}

function groupText(title: string, group: Group, paint: Paint): string {
  if (group.count === 0) return "";
  const by = (name: string, counter: Counter) => `  by ${name.padEnd(8)} ${rankedText(counter)}\n`;
  const examples = chosen(group.examples).map((change) => exampleText(change, paint));
  return [
    `\n${paint(title, "bold")}\n`,
    by("route", group.byRoute),
    by("code", group.byCode),
    by("subject", group.bySubject),
    "  for example\n",
    ...examples,
  ].join("");
}

/** Of everybody and every route one before a second of the same; as they were, the latest first. */
function chosen(examples: readonly Change[]): readonly Change[] {
  const kindOf = ({ subject, route }: Change) => JSON.stringify([subject, route]);
  const firsts = [...Map.groupBy(examples, kindOf).values()].flatMap(([first]) => first ?? []);
  const picked = new Set([...new Set([...firsts, ...examples])].slice(0, MOST_EXAMPLES));
  return examples.filter((one) => picked.has(one));
}

function exampleText(change: Change, paint: Paint): string {
  const { at, method, host, path, subject, before, after = before, requestId } = change;
  const request = visible(`${method} ${host}${path}`);
  const who = subject === null ? "" : ` by ${visible(subject)}`;
  const judged = visible(codeOf(after.decision === "deny" ? after : before));
  const was = after.decision === "deny" ? judged : `was ${judged}`;
  return `    ${request}${who}: ${was}\n    ${paint(`${at}  ${visible(requestId)}`, "dim")}\n`;
}

function rankedText(counter: Counter): string {
  const all = ranked(counter);
  const shown = all
    .slice(0, MOST_NAMED)
    .map(([name, count]) => `${visible(name)} ${amount(count)}`);
  const more = all.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${amount(more)} more`] : [])].join(", ");
}

function ranked(counter: Counter): [name: string, count: number][] {
  return [...counter].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

function amount(count: number): string {
  return count.toLocaleString("en");
}

/**
 * What the demo says around its table.
 *
 * @module
 */
import { type Paint, visible } from "../paint.ts";
import type { Outcome } from "./run-attempt.ts";

export type Places = {
  readonly gateUrl: string;
  readonly issuerUrl: string;
  readonly upstreamUrl: string;
  /** Absolute path of the folder with claimgate.yaml and the policies. */
  readonly folder: string;
};

/** Who stands where. */
export function greeting(
  { gateUrl, issuerUrl, upstreamUrl, folder }: Places,
  paint: Paint,
): string {
  const line = (name: string, place: string, role: string) =>
    `  ${paint(name.padEnd(8), "dim")}  ${place.padEnd(32)}  ${paint(role, "dim")}\n`;
  return [
    `\n  ${paint("claimgate demo", "bold")}\n\n`,
    line("issuer", issuerUrl, "signs tokens"),
    line("gate", gateUrl, "verifies them, asks the policies, forwards"),
    line("upstream", upstreamUrl, "an application that checks nothing itself"),
    line("folder", folder, "claimgate.yaml and policies"),
    "\n",
  ].join("");
}

/** How many came out as they must; of each that did not, what it should have been. */
export function verdict(outcomes: readonly Outcome[], paint: Paint): string {
  const bad = outcomes.filter((outcome) => !outcome.asExpected);
  if (bad.length === 0) {
    return `\n  ${paint(`all ${outcomes.length} came out as expected`, "green")}\n\n`;
  }
  const count = `${bad.length} of ${outcomes.length} came out otherwise than expected`;
  const lines = bad.map(({ attempt, why }) => {
    const { status, code, reason, user } = attempt.expected;
    const parts = [status, code, reason, user && `X-User: ${user}`];
    const expected = parts.filter((part) => part !== undefined && part !== "").join(" ");
    return `    ${attempt.label}: expected ${expected}; ${visible(why)}\n`;
  });
  return `\n  ${paint(count, "red")}\n${lines.join("")}\n`;
}

/** @param token One that passes, for an hour. */
export function invitation(places: Places, token: string, paint: Paint): string {
  const { gateUrl, issuerUrl, folder } = places;
  const heading = (text: string) => `  ${paint(text, "bold")}\n\n`;
  return [
    heading("Try it"),
    `  curl -i ${gateUrl}/\n`,
    `  T=${token}\n`,
    `  curl -i -H "Authorization: Bearer $T" ${gateUrl}/\n\n`,
    heading("A token with another role"),
    `  curl -d grant_type=client_credentials -d client_id=bob -d roles=guest ${issuerUrl}/token\n\n`,
    heading("Change the rules"),
    `  Edit ${folder}/policies/staff.ts, or claimgate.yaml beside it:\n`,
    "  a saved change counts within a second, if it holds; policies with their cases.\n\n",
    `  ${paint("Ctrl-C ends the demo and removes its folder; what you send is shown below.", "dim")}\n\n`,
  ].join("");
}

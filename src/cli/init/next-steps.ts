/**
 * The commands that come after `claimgate init`, as a shell takes them.
 *
 * @module
 */
import type { Paint } from "../paint.ts";
import { shellQuoted } from "../program-word.ts";
import type { StarterIssuer } from "./starter.ts";

type NextStepsOptions = {
  /** Starts this program. */
  readonly program: string;
  /** From the working directory; absent where that is the folder itself. */
  readonly folder?: string;
  readonly issuer: StarterIssuer;
};

type Step = readonly [command: string, comment?: string];

/** @returns One command a line, comments aligned. */
export function nextSteps({ program, folder, issuer }: NextStepsOptions, paint: Paint): string {
  const isDevelopment = issuer.kind === "development";
  const steps: Step[] = [
    ...(folder === undefined ? [] : [[`cd ${shellQuoted(folder)}`] as const]),
    [`${program} check`],
    [`${program} serve &`],
    ["curl -i localhost:8080/", "401: no token"],
    isDevelopment
      ? [`T=$(${program} token --sub alice --claim roles=staff)`]
      : ["T=…", "an access token of your issuer, with the role staff"],
    [`curl -H "Authorization: Bearer $T" localhost:8080/`, "200: what the upstream would see"],
  ];
  const commented = steps.filter((step) => step.length > 1).map(([command]) => command.length);
  const width = Math.max(...commented);
  return steps
    .map(([command, comment]) =>
      comment === undefined
        ? `  ${command}\n`
        : `  ${command.padEnd(width)}  ${paint(`# ${comment}`, "dim")}\n`,
    )
    .join("");
}

/**
 * The steps of a request's way, up to the one that refused it.
 *
 * @module
 */
import type { Denial } from "../../types.ts";
import type { Check } from "./explanation.ts";
import { STAGES, type Stage } from "./stage.ts";

type WayFacts = {
  /** Where it was refused; absent where it was not. */
  readonly failed?: { readonly stage: Stage; readonly detail: string } | undefined;
  /** A public route asks for no credential, and so for nothing that comes of it. */
  readonly asks: "credential" | "nothing";
  /** What the steps that it passed came to. */
  readonly passed: Readonly<Partial<Record<Stage, string>>>;
  /** The token's own; the last one failed where the token did. */
  readonly token: readonly Check[];
  /** A limit counts addresses before all else, subjects after all else. */
  readonly limited: "first" | "last";
};

const NOT_ASKED_FOR: Check = {
  name: "credential",
  ok: true,
  detail: "not looked for: the route is public",
};

const OF_THE_CREDENTIAL: ReadonlySet<Stage> = new Set([
  "credential",
  "token",
  "revocation",
  "policies",
  "identity",
]);

export function wayChecks({ failed, asks, passed, token, limited }: WayFacts): readonly Check[] {
  const checks: Check[] = [];
  for (const stage of orderOf(limited)) {
    const hasFailed = failed?.stage === stage;
    if (stage === "token") checks.push(...(asks === "nothing" ? [] : token));
    else if (stage === "credential" && asks === "nothing") checks.push(NOT_ASKED_FOR);
    else if (hasFailed) checks.push({ name: stage, ok: false, detail: failed.detail });
    else {
      const detail = passed[stage];
      const isAsked = asks === "credential" || !OF_THE_CREDENTIAL.has(stage);
      if (detail !== undefined && isAsked) checks.push({ name: stage, ok: true, detail });
    }
    if (hasFailed) break;
  }
  return checks;
}

/** @returns `require-roles: role_missing: needs one of: admin`, as far as there is something to say. */
export function denialWords({ policy, reason, detail }: Partial<Denial>, code: string): string {
  const parts = [policy, reason ?? code, detail].filter((part) => part !== undefined);
  return parts.join(": ");
}

function orderOf(limited: WayFacts["limited"]): readonly Stage[] {
  if (limited === "first") return STAGES;
  return [
    ...STAGES.filter((stage) => stage !== "limits" && stage !== "upstream"),
    "limits",
    "upstream",
  ];
}

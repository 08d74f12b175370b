/**
 * `/v1/reload` and `/metrics`: how the gate stands, and having it read its files anew.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { processUse, type Standing } from "../telemetry/standing.ts";
import { type Admin, type AdminGate, type Counted, recordAct } from "./admin.ts";
import { endpoint } from "./endpoint.ts";
import { ProblemError } from "./problem.ts";
import { Reloaded } from "./schemas.ts";

export const reloadEndpoint = endpoint({
  method: "POST",
  path: "/v1/reload",
  summary: "Read the configuration and the policies anew, whole or not at all",
  body: Type.Object({}, { additionalProperties: false }),
  answers: Reloaded,
  async answer(admin) {
    const isInForce = await admin.reload();
    const reason = isInForce ? "in force" : "refused";
    await recordAct(admin, { actor: "admin", act: "reload", target: "configuration", reason });
    if (!isInForce) {
      const detail = "the gate's log says what does not hold; so does claimgate check";
      throw new ProblemError("reload_refused", detail);
    }
    return { inForce: true as const, at: new Date(admin.gate.now()).toISOString() };
  },
});

export const metricsEndpoint = endpoint({
  method: "GET",
  path: "/metrics",
  summary: "Counts and states, as Prometheus reads them",
  answers: "text/plain",
  async answer(admin) {
    // Not before somebody asks: what serves starts the sooner.
    const { EXPOSITION_TYPE, exposition } = await import("../telemetry/exposition.ts");
    const { counts, standing } = await (admin.countAll?.() ?? countOf(admin));
    const text = await exposition(counts, standing, admin.gate.now());
    return new Response(text, { headers: { "Content-Type": EXPOSITION_TYPE } });
  },
});

function countOf({ gate, version, startedMs, standing }: Admin): Counted {
  const { storeFollowers } = standing;
  return {
    counts: gate.metrics.counts,
    standing: standingOf(gate, { version, startedMs, storeFollowers }),
  };
}

type Circumstances = {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  /** Clients of the stream of decisions that read the store. */
  readonly storeFollowers: number;
};

/** How a gate stands, in this process. */
export function standingOf(
  gate: AdminGate,
  { version, startedMs, storeFollowers }: Circumstances,
): Standing {
  const { revocations, sightings, audit } = gate.ledger;
  return {
    version,
    startedMs,
    tokensTracked: sightings.count(),
    revocations: revocations.list().length,
    streamsOpen: gate.streams.count(),
    auditBacklog: audit.backlog(),
    followers: gate.decisions.followers + storeFollowers,
    isStoreFresh: revocations.state().fresh,
    isDraining: gate.draining,
    lastReload: gate.lastReload,
    issuers: Array.from(gate.site.issuers.values(), ({ config, keys }) => {
      const { state, keys: count, fetchedAt } = keys.state();
      return { name: config.name, state, keys: count, fetchedMs: fetchedAt };
    }),
    process: processUse(),
  };
}

/**
 * `/v1/reload` and `/metrics`: how the gate stands, and having it read its files anew.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { type Admin, recordAct } from "./admin.ts";
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
    const { gate } = admin;
    const text = await exposition(gate.metrics.counts, standingOf(admin), gate.now());
    return new Response(text, { headers: { "Content-Type": EXPOSITION_TYPE } });
  },
});

function standingOf({ gate, version, startedMs, standing }: Admin) {
  const { revocations, sightings, audit } = gate.ledger;
  return {
    version,
    startedMs,
    tokensTracked: sightings.count(),
    revocations: revocations.list().length,
    streamsOpen: gate.streams.count(),
    auditBacklog: audit.backlog(),
    followers: gate.decisions.followers + standing.storeFollowers,
    isStoreFresh: revocations.state().fresh,
    isDraining: gate.draining,
    lastReload: gate.lastReload,
    issuers: Array.from(gate.site.issuers.values(), ({ config, keys }) => {
      const { state, keys: count, fetchedAt } = keys.state();
      return { name: config.name, state, keys: count, fetchedMs: fetchedAt };
    }),
  };
}

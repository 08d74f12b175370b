/**
 * `/v1/policies`, `/v1/routes`, `/v1/issuers`: what is in force.
 *
 * @module
 */

import { policyNames } from "../config/named-policies.ts";
import type { RouteConfig, UpstreamAddress } from "../config/resolved.ts";
import type { AdminGate } from "./admin.ts";
import { endpoint } from "./endpoint.ts";
import { Issuers, Policies, Routes } from "./schemas.ts";

export const policiesEndpoint = endpoint({
  method: "GET",
  path: "/v1/policies",
  summary: "Policies in force, and where they are used",
  answers: Policies,
  answer({ gate }) {
    const { config, policies } = gate.site;
    const reload = reloadOf(gate);
    return {
      policies: Array.from(policies.policies.values(), (policy) => ({
        name: policy.name,
        description: policy.description,
        file: policy.file,
        shipped: policy.shipped,
        loaded: true,
        cases: policy.cases.length,
        ...(policy.claims && { claims: policy.claims }),
        ...(policy.options && { options: policy.options }),
        usedBy: namesWhere(config.routes, (route) => policyNames([route]).has(policy.name)),
      })).sort((a, b) => a.name.localeCompare(b.name)),
      ...(reload && { lastReload: reload }),
    };
  },
});

export const routesEndpoint = endpoint({
  method: "GET",
  path: "/v1/routes",
  summary: "Routes in force",
  answers: Routes,
  answer({ gate }) {
    const { config } = gate.site;
    return {
      routes: config.routes.map((route) => ({
        name: route.name,
        ...(route.match.host !== undefined && { host: route.match.host }),
        path: route.match.path,
        ...(route.match.methods && { methods: [...route.match.methods] }),
        upstreams: route.upstreams.map(upstreamWord),
        issuers: [...route.issuers],
        policies: [...policyNames([route])],
        public: route.public,
        anyAuthenticated: route.anyAuthenticated,
        line: config.positionOf(route.path).line,
      })),
    };
  },
});

export const issuersEndpoint = endpoint({
  method: "GET",
  path: "/v1/issuers",
  summary: "Issuers and how fresh their keys are",
  answers: Issuers,
  answer({ gate }) {
    const { config, issuers } = gate.site;
    return {
      issuers: Array.from(issuers.values(), ({ config: issuer, keys }) => {
        const { state, keys: count, fetchedAt, error } = keys.state();
        return {
          name: issuer.name,
          issuer: issuer.issuer,
          audiences: [...issuer.audiences],
          state,
          keys: count,
          ...(fetchedAt !== undefined && {
            fetchedAt: new Date(fetchedAt).toISOString(),
            ageSeconds: Math.max(0, gate.now() - fetchedAt) / 1_000,
          }),
          ...(error !== undefined && { error }),
          usedBy: namesWhere(config.routes, (route) => route.issuers.includes(issuer.name)),
        };
      }),
    };
  },
});

function reloadOf({ lastReload }: Pick<AdminGate, "lastReload">) {
  if (lastReload === undefined) return undefined;
  return { inForce: lastReload.inForce, at: new Date(lastReload.atMs).toISOString() };
}

/** `http://127.0.0.1:9000`, `unix:/run/app.sock`, `echo`. */
export function upstreamWord(address: UpstreamAddress): string {
  if (address.kind === "http") return address.origin;
  return address.kind === "unix" ? `unix:${address.socket}` : "echo";
}

function namesWhere(routes: readonly RouteConfig[], fits: (route: RouteConfig) => boolean) {
  return routes.filter(fits).map(({ name }) => name);
}

/**
 * Explains a request that a gate has decided on, from what its audit keeps. Nothing is decided
 * anew: the verdicts are those of then; places and options are those of the configuration now.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { DecisionEntry } from "../../audit/entry.ts";
import { readEntry } from "../../audit/scan.ts";
import type { Config } from "../../config/resolved.ts";
import { GateError } from "../../errors.ts";
import { loadPolicies, type PolicySet } from "../../policy/load.ts";
import { openStore } from "../../store/open.ts";
import { loadStoreConfig } from "../store-config.ts";
import { adviceOn } from "./advice.ts";
import { denialWords, wayChecks } from "./checks.ts";
import type { Check, Explanation } from "./explanation.ts";
import { explainPolicies, placedPolicies } from "./places.ts";
import { routeFacts } from "./route-facts.ts";
import { stageOf } from "./stage.ts";
import { tokenChecks } from "./token-checks.ts";

/**
 * @param file The configuration, as the owner typed it.
 * @throws GateError `usage_wrong` for an id that is not recorded, `store_damaged` for a record
 *   that was tampered with; `config_invalid`, `store_unavailable`.
 */
export async function explainRecorded(id: string, file: string): Promise<Explanation> {
  const config = await loadStoreConfig(file);
  const entry = await findDecision(id, config);
  const policies = await loadPolicies(config.policies);
  try {
    return explain(entry, config, file, policies.ok ? policies.value : undefined);
  } finally {
    if (policies.ok) policies.value.dispose();
  }
}

async function findDecision(requestId: string, { store: where }: Config): Promise<DecisionEntry> {
  // The id is not repeated: it may be a token, by mistake.
  const unknown = "no decision of that request id is recorded here";
  if (where.kind === "sqlite" && !existsSync(where.file)) {
    throw new GateError("usage_wrong", `${unknown}: the store appears when the gate first starts`);
  }
  const store = await openStore(where, { now: Date.now });
  try {
    const [record] = await store.find({ requestId, kind: "decision", limit: 1 });
    if (record === undefined) throw new GateError("usage_wrong", unknown);
    const entry = readEntry(record);
    if (entry?.kind === "decision" && entry.requestId === requestId) return entry;
    const message = "the record of that request is damaged: claimgate audit verify tells more";
    throw new GateError("store_damaged", message);
  } finally {
    await store.close();
  }
}

function explain(
  entry: DecisionEntry,
  config: Config,
  file: string,
  set: PolicySet | undefined,
): Explanation {
  const { code, reason, detail, policy, token, host, path, method } = entry;
  const route = config.routes.find(({ name }) => name === entry.route);
  const issuer = config.issuers.find(({ name }) => name === token?.issuer);
  const policyOf = (name: string) => set?.policies.get(name);
  const placed = route === undefined ? [] : placedPolicies(route, config, file);
  const explained = explainPolicies(entry.policies, placed, policyOf);
  const facts = routeFacts(config, file, route, host === "" ? undefined : { host, path, method });

  const refused = {
    ...(reason !== undefined && { reason }),
    ...(detail !== undefined && { detail }),
    ...(policy !== undefined && { policy }),
  };
  const stage = code === undefined ? undefined : stageOf({ code, ...refused });
  const isPublic = route?.public === true && token === undefined && stage !== "credential";
  const gone = entry.route === undefined ? undefined : `${entry.route}: no such route any more`;
  const checks = wayChecks({
    failed: stage && code !== undefined ? { stage, detail: denialWords(refused, code) } : undefined,
    asks: isPublic ? "nothing" : "credential",
    limited: token === undefined && entry.route === undefined ? "first" : "last",
    passed: {
      request: "was read",
      ...(entry.route !== undefined && { route: route ? facts.detail : (gone ?? "") }),
      ...((token || stage === "token") && { credential: "was there; where is not recorded" }),
      ...(token && { revocation: "was not revoked" }),
      ...(token && { policies: entry.policies.length === 0 ? "none" : "let it pass" }),
      ...(token && { identity: "fitted the headers of the route" }),
    },
    token: token || stage === "token" ? checksOfToken() : [],
  });

  function checksOfToken(): readonly Check[] {
    const refusal = { reason: reason ?? code ?? "", detail: detail ?? "" };
    return tokenChecks({
      kind: issuer?.decryptionKey === undefined ? "signed" : "encrypted",
      issuer: token?.issuer,
      ...(stage === "token" && { refusal }),
    });
  }

  const what = host === "" ? method : `${method} ${entry.scheme}://${host}${path}`;
  return {
    requestId: entry.requestId,
    request: `${what} from ${entry.client.ip} at ${entry.at}`,
    decision: entry.decision,
    status: entry.status,
    code: code ?? null,
    route:
      facts.route ??
      (entry.route === undefined
        ? null
        : { name: entry.route, file, line: config.positionOf(["routes"]).line }),
    routeNotes: facts.notes,
    credential: null,
    checks,
    ...(token && {
      content: {
        standing: "verified" as const,
        lines: [
          `sub ${JSON.stringify(token.subject)}`,
          ...(token.id === undefined ? [] : [`id ${token.id} (for claimgate revoke --token)`]),
          ...(token.issuedAt === undefined ? [] : [`iat ${token.issuedAt}`]),
          `exp ${token.expiresAt}`,
        ],
      },
    }),
    ...explained,
    advice:
      code === undefined
        ? []
        : adviceOn({
            denial: { code, ...refused },
            route,
            issuer,
            policies: entry.policies,
            policyOf,
          }),
    notes: [
      "as recorded: verdicts are those of then, places and options those of the configuration now",
    ],
  };
}

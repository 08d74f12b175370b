/**
 * The policies that come with the gate, as code and as text.
 *
 * @module
 */
import clientNetwork from "../../policies/client-network.ts";
import country from "../../policies/country.ts";
import device from "../../policies/device.ts";
import officeHours from "../../policies/office-hours.ts";
import requireClaim from "../../policies/require-claim.ts";
import requireRoles from "../../policies/require-roles.ts";
import requireScopes from "../../policies/require-scopes.ts";
import tokenAge from "../../policies/token-age.ts";
import unusualActivity from "../../policies/unusual-activity.ts";
import { embedShipped } from "./embed-shipped.ts" with { type: "macro" };

// A macro sees literals only.
const sources: Readonly<Record<string, string>> = embedShipped([
  "client-network",
  "country",
  "device",
  "office-hours",
  "require-claim",
  "require-roles",
  "require-scopes",
  "token-age",
  "unusual-activity",
]);

const definitions: Readonly<Record<string, unknown>> = {
  "client-network": clientNetwork,
  country,
  device,
  "office-hours": officeHours,
  "require-claim": requireClaim,
  "require-roles": requireRoles,
  "require-scopes": requireScopes,
  "token-age": tokenAge,
  "unusual-activity": unusualActivity,
};

export type ShippedPolicy = {
  readonly name: string;
  readonly definition: unknown;
  readonly text: string;
};

/** Every shipped policy, sorted by name. */
export const shippedPolicies: readonly ShippedPolicy[] = Object.entries(definitions).map(
  ([name, definition]) => ({ name, definition, text: sources[name] ?? "" }),
);

/**
 * The policies that come with the gate, as code and as text.
 *
 * @module
 */
import breakGlass from "../../policies/break-glass.ts";
import clientNetwork from "../../policies/client-network.ts";
import country from "../../policies/country.ts";
import device from "../../policies/device.ts";
import groupMapping from "../../policies/group-mapping.ts";
import officeHours from "../../policies/office-hours.ts";
import ownsResource from "../../policies/owns-resource.ts";
import requireClaim from "../../policies/require-claim.ts";
import requireRoles from "../../policies/require-roles.ts";
import requireScopes from "../../policies/require-scopes.ts";
import stepUp from "../../policies/step-up.ts";
import tokenAge from "../../policies/token-age.ts";
import unusualActivity from "../../policies/unusual-activity.ts";
import { embedShipped } from "./embed-shipped.ts" with { type: "macro" };

// A macro sees literals only.
const sources: Readonly<Record<string, string>> = embedShipped([
  "break-glass",
  "client-network",
  "country",
  "device",
  "group-mapping",
  "office-hours",
  "owns-resource",
  "require-claim",
  "require-roles",
  "require-scopes",
  "step-up",
  "token-age",
  "unusual-activity",
]);

const definitions: Readonly<Record<string, unknown>> = {
  "break-glass": breakGlass,
  "client-network": clientNetwork,
  country,
  device,
  "group-mapping": groupMapping,
  "office-hours": officeHours,
  "owns-resource": ownsResource,
  "require-claim": requireClaim,
  "require-roles": requireRoles,
  "require-scopes": requireScopes,
  "step-up": stepUp,
  "token-age": tokenAge,
  "unusual-activity": unusualActivity,
};

type ShippedPolicy = {
  readonly name: string;
  readonly definition: unknown;
  readonly text: string;
};

/** Every shipped policy, sorted by name. */
export const shippedPolicies: readonly ShippedPolicy[] = Object.entries(definitions).map(
  ([name, definition]) => ({ name, definition, text: sources[name] ?? "" }),
);

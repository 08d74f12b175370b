// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parse } from "yaml";
import { policiesIn, schemaText } from "../../src/cli/editor-schema.ts";
import { markedBy } from "../config/draft-7.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const STAFF = `import { allow, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "Lets staff pass",
  options: Type.Object({
    level: Type.Integer({ minimum: 1 }),
    area: Type.Union([Type.Literal("eu"), Type.Literal("us")], { default: "eu" }),
    hours: Type.Optional(Type.Object({ from: Type.String() })),
  }),
  evaluate: () => allow(),
});
`;
const EITHER = `import { allow, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "Takes one or the other",
  options: Type.Union([
    Type.Object({ group: Type.String() }),
    Type.Object({ person: Type.String() }),
  ]),
  evaluate: () => allow(),
});
`;

let folder: TempFolder;
let schema: object;
beforeAll(async () => {
  folder = await tempFolder({ "policies/sales/staff.ts": STAFF, "policies/either.ts": EITHER });
  schema = JSON.parse(schemaText(await policiesIn(join(folder.path, "policies"))));
});
afterAll(async () => folder[Symbol.asyncDispose]());

/** What is marked in a route's policies, as an editor shows it. */
const marked = (policies: string) =>
  markedBy(schema, { routes: [{ upstream: "echo", policies: parse(policies) }] }).map((place) =>
    place.replace("/routes/0/policies", ""),
  );

describe("what an editor marks in policies", () => {
  test.each([
    "[sales/staff: { level: 2 }, require-roles: { anyOf: [a] }]",
    "[sales/staff: { level: '${LEVEL}', area: us, hours: { from: '9' } }]",
    "[office-hours, office-hours: { days: [mon], timeZone: Europe/Vienna }]",
    "[any: [token-age: { maxAge: 5m }, not: { country: { allow: [AT] } }]]",
    "[shadow: { all: [require-scopes: { allOf: [read] }] }]",
    "[either: { group: a }, either: { person: b }]",
  ])("nothing in %s", (policies) => {
    expect(marked(policies)).toEqual([]);
  });

  test.each([
    ["[sales/staf: { level: 2 }]", ["/0/sales/staf"]],
    ["[sales/stafff]", ["/0"]],
    ["[require-role: { anyOf: [a] }]", ["/0/require-role"]],
    ["[sales/staff: { levle: 2 }]", ["/0/sales/staff", "/0/sales/staff/levle"]],
    ["[sales/staff: { level: 2, aera: us }]", ["/0/sales/staff/aera"]],
    ["[sales/staff: { level: 0 }]", ["/0/sales/staff/level"]],
    ["[sales/staff: { level: 2, area: au }]", ["/0/sales/staff/area"]],
    [
      "[sales/staff: { level: 2, hours: { form: '9' } }]",
      ["/0/sales/staff/hours", "/0/sales/staff/hours/form"],
    ],
    ["[require-roles: { anyOff: [a] }]", ["/0/require-roles/anyOff"]],
    ["[require-roles: { anyOf: a }]", ["/0/require-roles/anyOf"]],
    ["[office-hours: { day: [mon] }]", ["/0/office-hours/day"]],
    ["[any: [not: { office-hour: {} }]]", ["/0/any/0/not/office-hour"]],
    [
      "[shadow: { all: [require-scopes: { alOf: [read] }] }]",
      ["/0/shadow/all/0/require-scopes/alOf"],
    ],
    ["[either: { group: a, persn: b }]", ["/0/either/persn"]],
    ["[any: []]", ["/0/any"]],
  ])("%s", (policies, places) => {
    expect(marked(policies).sort()).toEqual(places.sort());
  });
});

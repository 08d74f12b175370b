import { allow, cached, definePolicy, deny, Type } from "claimgate";

/**
 * Who belongs to which team stands in a JSON file beside this one. It is read anew every two
 * seconds while requests come, so that an edit counts at once; a file that is missing or half
 * written leaves the last good one in force for an hour.
 */
export default definePolicy({
  description: "Lets members of the teams pass, as a JSON file lists them",
  claims: Type.Object({ sub: Type.String() }),
  options: Type.Object({
    anyOf: Type.Array(Type.String(), { minItems: 1, description: "Teams of which one is enough" }),
    file: Type.String({
      default: "teams.json",
      pattern: "^[\\w.-]+\\.json$",
      description: "The file with the members of each team, beside this policy",
    }),
  }),
  async evaluate({ claims, options: { anyOf, file } }) {
    const load = async () => teamsIn(await Bun.file(`${import.meta.dir}/${file}`).json());
    const teams = await cached(file, "2s", load, { staleFor: "1h" });
    return anyOf.some((team) => teams[team]?.includes(claims.sub))
      ? allow()
      : deny("team_missing", `needs to be in one of the teams: ${anyOf.join(", ")}`);
  },
  // Cases have a file of their own: whoever edits the real one must not break them.
  cases: [
    {
      name: "a member",
      options: { anyOf: ["ops", "dev"], file: "teams.example.json" },
      claims: { sub: "bob" },
      expect: "allow",
    },
    {
      name: "a member of another team",
      options: { anyOf: ["ops"], file: "teams.example.json" },
      claims: { sub: "bob" },
      expect: "deny team_missing",
    },
    {
      name: "a team that is not in the file",
      options: { anyOf: ["sales"], file: "teams.example.json" },
      claims: { sub: "bob" },
      expect: "deny team_missing",
    },
    {
      name: "a file that is not there",
      options: { anyOf: ["ops"], file: "missing.json" },
      claims: { sub: "bob" },
      expect: "fault",
    },
  ],
});

/** @throws For a file that says something else: nobody passes by a slip of the pen. */
function teamsIn(json: unknown): Readonly<Record<string, readonly string[]>> {
  if (typeof json !== "object" || json === null) throw new Error("teams are an object of lists");
  const teams = new Map<string, readonly string[]>();
  for (const [team, members] of Object.entries(json)) {
    if (!Array.isArray(members) || !members.every((name) => typeof name === "string")) {
      throw new Error("each team is a list of names");
    }
    teams.set(team, members);
  }
  return Object.assign(Object.create(null), Object.fromEntries(teams));
}

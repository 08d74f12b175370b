import { allow, definePolicy, deny, Type } from "claimgate";
import { clockAt, Site } from "./_sites.ts";

export default definePolicy({
  description: "Lets contractors in on workdays, by the clock of their office; staff at any time",
  claims: Type.Object({
    kind: Type.Union([Type.Literal("staff"), Type.Literal("contractor")]),
    site: Site,
  }),
  options: Type.Object({
    from: Type.String({ pattern: "^\\d\\d:\\d\\d$", default: "08:00" }),
    to: Type.String({ pattern: "^\\d\\d:\\d\\d$", default: "18:00" }),
  }),
  evaluate({ claims, options, now }) {
    if (claims.kind === "staff") return allow();
    const { day, time } = clockAt(claims.site, now);
    if (day === "Sat" || day === "Sun") return deny("weekend", `it is ${day} in ${claims.site}`);
    if (time >= options.from && time < options.to) return allow();
    const hours = `${options.from} to ${options.to}`;
    return deny("outside_hours", `${claims.site} is open ${hours}, and it was ${time} there`);
  },
  cases: [
    {
      name: "staff at night",
      claims: { kind: "staff", site: "vienna" },
      now: "2026-03-02T23:30:00Z",
      expect: "allow",
    },
    {
      name: "a contractor in Vienna, 17:59",
      claims: { kind: "contractor", site: "vienna" },
      now: "2026-03-02T16:59:00Z",
      expect: "allow",
    },
    {
      name: "a contractor in Vienna, 18:00",
      claims: { kind: "contractor", site: "vienna" },
      now: "2026-03-02T17:00:00Z",
      expect: "deny outside_hours",
    },
    {
      name: "at that moment it is noon in New York",
      claims: { kind: "contractor", site: "new-york" },
      now: "2026-03-02T17:00:00Z",
      expect: "allow",
    },
    {
      name: "a contractor on Sunday",
      claims: { kind: "contractor", site: "new-york" },
      now: "2026-03-01T17:00:00Z",
      expect: "deny weekend",
    },
  ],
});

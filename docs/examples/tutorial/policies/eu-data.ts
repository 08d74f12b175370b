import { allow, definePolicy, deny, Type } from "claimgate";
import { SITES, Site } from "./_sites.ts";

export default definePolicy({
  description: "Lets only people of an office in the EU see data of customers in the EU",
  claims: Type.Object({ site: Site }),
  evaluate({ claims }) {
    if (SITES[claims.site].eu) return allow();
    return deny("not_in_eu", `the office ${claims.site} is not in the EU`);
  },
  cases: [
    { name: "Vienna", claims: { site: "vienna" }, expect: "allow" },
    { name: "New York", claims: { site: "new-york" }, expect: "deny not_in_eu" },
  ],
});

import { allow, definePolicy, deny } from "claimgate";

export default definePolicy({
  description: "Nobody reads a report that is still a draft",
  evaluate({ request }) {
    return request.path.endsWith(".draft.txt") ? deny("still_a_draft") : allow();
  },
  cases: [
    {
      name: "a report passes",
      request: { path: "/reports/q3.txt" },
      expect: "allow",
    },
    {
      name: "a draft does not",
      request: { path: "/reports/q4.draft.txt" },
      expect: "deny still_a_draft",
    },
  ],
});

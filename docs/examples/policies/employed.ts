import { allow, cached, definePolicy, deny, Type } from "claimgate";

/**
 * Asks the HR service whether someone still works here, at most once a minute for each person. If
 * it fails, what it said last counts for ten minutes more; beyond that the gate stays closed.
 */
export default definePolicy({
  description: "Lets people pass whom the HR service knows as employed",
  claims: Type.Object({ email: Type.String({ minLength: 3, maxLength: 254 }) }),
  options: Type.Object({
    url: Type.String({
      pattern: "^https?://[^?#]+$",
      description: "Where people are, without the address: https://hr.acme.dev/people",
    }),
  }),
  async evaluate({ claims, options, fetch, secret }) {
    const status = await cached(
      `${options.url} ${claims.email}`,
      "1m",
      async () => {
        const answer = await fetch(`${options.url}/${encodeURIComponent(claims.email)}`, {
          headers: { Authorization: `Bearer ${secret("HR_TOKEN")}`, Accept: "application/json" },
        });
        if (answer.status === 404) return "unknown";
        // What is thrown here is not kept, and makes an older value serve, if there is one.
        if (!answer.ok) throw new Error(`the HR service answered ${answer.status}`);
        const person = await answer.json();
        return person?.status === "active" ? "active" : "left";
      },
      { staleFor: "10m" },
    );
    return status === "active"
      ? allow()
      : deny(`employee_${status}`, "the HR service must know the address as active");
  },
  cases: [
    {
      name: "someone employed",
      options: { url: "https://hr.example/people" },
      claims: { email: "alice@acme.dev" },
      secrets: { HR_TOKEN: "s3cret" },
      fetch: (url, init) => {
        const isRight =
          url === "https://hr.example/people/alice%40acme.dev" &&
          new Headers(init?.headers).get("authorization") === "Bearer s3cret";
        return isRight ? Response.json({ status: "active" }) : new Response("", { status: 400 });
      },
      expect: "allow",
    },
    {
      name: "someone who has left",
      options: { url: "https://hr.example/people" },
      claims: { email: "bob@acme.dev" },
      secrets: { HR_TOKEN: "s3cret" },
      fetch: () => Response.json({ status: "terminated" }),
      expect: "deny employee_left",
    },
    {
      name: "someone HR has never heard of",
      options: { url: "https://hr.example/people" },
      claims: { email: "eve@evil.example" },
      secrets: { HR_TOKEN: "s3cret" },
      fetch: () => new Response("", { status: 404 }),
      expect: "deny employee_unknown",
    },
    {
      name: "a service that fails, with nothing known from before",
      options: { url: "https://hr.example/people" },
      claims: { email: "alice@acme.dev" },
      secrets: { HR_TOKEN: "s3cret" },
      fetch: () => new Response("", { status: 503 }),
      expect: "fault",
    },
    {
      name: "an answer that is no JSON",
      options: { url: "https://hr.example/people" },
      claims: { email: "alice@acme.dev" },
      secrets: { HR_TOKEN: "s3cret" },
      fetch: () => new Response("<html>"),
      expect: "fault",
    },
    {
      name: "a secret that is not set",
      options: { url: "https://hr.example/people" },
      claims: { email: "alice@acme.dev" },
      secrets: {},
      fetch: () => Response.json({ status: "active" }),
      expect: "fault",
    },
  ],
});

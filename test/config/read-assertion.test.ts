import { describe, expect, test } from "bun:test";
import { loadValid, placesOf } from "./load-text.ts";

const route = (written: string, more = "anyAuthenticated: true") => `routes:
  - upstream: echo
    assertion: ${written}
    ${more}
issuers: [{ name: dev, development: true }]
`;

describe("assertion", () => {
  test("has its defaults", async () => {
    const { routes } = await loadValid(route("{ header: X-Me, audience: orders }"));
    expect(routes[0]?.assertion).toEqual({
      header: "X-Me",
      audience: "orders",
      lifetimeMs: 60_000,
      claims: ["sub"],
    });
  });

  test.each([
    ["{ audience: a }", "3:16 key_missing"],
    ["{ header: X-Me }", "3:16 key_missing"],
    ["{ header: X Me, audience: a }", "3:26 header_name_invalid"],
    ["{ header: Authorization, audience: a }", "3:26 header_forbidden"],
    ["{ header: x_request_id, audience: a }", "3:26 header_forbidden"],
    ["{ header: X-Me, audience: '' }", "3:42 value_invalid"],
    ["{ header: X-Me, audience: [a] }", "3:42 type_wrong"],
    ["{ header: X-Me, audience: a, lifetime: 0s }", "3:55 value_out_of_range"],
    ["{ header: X-Me, audience: a, lifetime: 61m }", "3:55 value_out_of_range"],
    ["{ header: X-Me, audience: a, claims: [aud] }", "3:54 claim_reserved"],
    ["{ header: X-Me, audience: a, claims: [''] }", "3:54 value_invalid"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(route(written))).toEqual([place]);
  });

  test.each([
    ["identityHeaders: { x_me: sub }", "3:26 header_conflict"],
    ["requestHeaders: { set: { X-Me: a } }", "5:30 header_conflict"],
    ["requestHeaders: { remove: [x_me] }", "5:32 header_conflict"],
  ])("its header is nothing else: %s", async (line, place) => {
    const text = route("{ header: X-Me, audience: a }", `anyAuthenticated: true\n    ${line}`);
    expect(await placesOf(text)).toEqual([place]);
  });

  test("speaks of nobody on a public route", async () => {
    expect(await placesOf(route("{ header: X-Me, audience: a }", "public: true"))).toEqual([
      "3:5 route_public_guarded",
    ]);
  });
});

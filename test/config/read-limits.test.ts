// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { loadText, loadValid, placesOf } from "./load-text.ts";

const environment = { N: "7", OFF: "false" };

describe("limits", () => {
  const withLimits = (written: string) =>
    `limits: ${written}\nroutes: [{ upstream: echo, public: true }]\n`;

  test.each([
    ["{}", { limit: 600, perMs: 60_000 }],
    ["{ address: true }", { limit: 600, perMs: 60_000 }],
    ["{ address: {} }", { limit: 600, perMs: 60_000 }],
    ["{ address: { limit: 1 } }", { limit: 1, perMs: 60_000 }],
    ["{ address: { limit: '${N}', per: 24h } }", { limit: 7, perMs: 86_400_000 }],
    ["{ address: { per: 1s, of: failures } }", { limit: 600, perMs: 1000 }],
  ])("%s", async (written, rate) => {
    const { limits } = await loadValid(withLimits(written), { environment });
    expect<unknown>(limits).toEqual({ address: { ...rate, of: "failures" } });
  });

  test.each(["{ address: false }", "{ address: '${OFF}' }"])("%s is none", async (written) => {
    const { limits } = await loadValid(withLimits(written), { environment });
    expect(limits).toEqual({});
  });

  test.each([
    ["{ address: off }", "1:20 type_wrong"],
    ["{ address: 600 }", "1:20 type_wrong"],
    ["{ address: { limit: 0 } }", "1:29 value_out_of_range"],
    ["{ address: { limit: 1000001 } }", "1:29 value_out_of_range"],
    ["{ address: { limit: 1.5 } }", "1:29 type_wrong"],
    ["{ address: { per: 999ms } }", "1:27 value_out_of_range"],
    ["{ address: { per: 25h } }", "1:27 value_out_of_range"],
    ["{ address: { of: requests } }", "1:26 type_wrong"],
    ["{ subject: { limit: 1 } }", "1:11 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(withLimits(written))).toEqual([place]);
  });

  test("say how to write what is not understood", async () => {
    const { result } = await loadText(withLimits("{ address: off }"));
    expect(result.ok ? [] : result.error).toMatchObject([
      { message: 'address must be true or false or a map, found text "off"' },
    ]);
  });
});

describe("rateLimit", () => {
  const route = (written: string) => `routes:
  - upstream: echo
    rateLimit: ${written}
    anyAuthenticated: true
issuers: [{ name: dev, development: true }]
`;
  const open = (written: string) => `routes:
  - upstream: echo
    rateLimit: ${written}
    public: true
`;

  test.each([
    ["{}", { limit: 100, perMs: 60_000, by: "subject" }],
    ["{ limit: 5 }", { limit: 5, perMs: 60_000, by: "subject" }],
    ["{ limit: 1000000, per: 24h, by: token }", { limit: 1e6, perMs: 86_400_000, by: "token" }],
    ["{ limit: 1, per: 1s, by: address }", { limit: 1, perMs: 1000, by: "address" }],
  ])("%s", async (written, rateLimit) => {
    const { routes } = await loadValid(route(written));
    expect<unknown>(routes[0]?.rateLimit).toEqual(rateLimit);
  });

  test("a route without one has no limit", async () => {
    const { routes } = await loadValid("routes: [{ upstream: echo, public: true }]\n");
    expect(routes[0]).not.toHaveProperty("rateLimit");
  });

  test.each(["{ limit: 9 }", "{ limit: 9, by: address }"])(
    "%s of a public route goes by address",
    async (written) => {
      const { routes } = await loadValid(open(written));
      expect<unknown>(routes[0]?.rateLimit).toEqual({ limit: 9, perMs: 60_000, by: "address" });
    },
  );

  test.each(["subject", "token"])("a public route knows no %s", async (by) => {
    expect(await placesOf(open(`{ by: ${by} }`))).toEqual(["3:22 rate_limit_public"]);
  });

  test.each([
    ["{ limit: 0 }", "3:25 value_out_of_range"],
    ["{ limit: -1 }", "3:25 value_out_of_range"],
    ["{ limit: many }", "3:25 type_wrong"],
    ["{ per: 0s }", "3:23 value_out_of_range"],
    ["{ per: minute }", "3:23 value_invalid"],
    ["{ by: ip }", "3:22 type_wrong"],
    ["{ burst: 5 }", "3:18 key_unknown"],
    ["100", "3:16 type_wrong"],
    ["", "3:5 type_wrong"],
  ])("%j: %s", async (written, place) => {
    expect(await placesOf(route(written))).toEqual([place]);
  });
});

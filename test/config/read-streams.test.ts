import { describe, expect, test } from "bun:test";
import { loadValid, placesOf } from "./load-text.ts";

const route = (written: string) => `routes:
  - upstream: echo
    streams: ${written}
    anyAuthenticated: true
issuers: [{ name: dev, development: true }]
`;

describe("streams", () => {
  test.each([
    ["{}", { recheckMs: 30_000, graceOnExpiryMs: 0 }],
    ["{ recheck: 1s }", { recheckMs: 1000, graceOnExpiryMs: 0 }],
    ["{ graceOnExpiry: 90s }", { recheckMs: 30_000, graceOnExpiryMs: 90_000 }],
    [
      "{ recheck: 24h, graceOnExpiry: 24h }",
      { recheckMs: 86_400_000, graceOnExpiryMs: 86_400_000 },
    ],
  ])("%s", async (written, streams) => {
    const { routes } = await loadValid(route(written));
    expect(routes[0]?.streams).toEqual(streams);
  });

  test("have their defaults where nothing is written", async () => {
    const { routes } = await loadValid("routes: [{ upstream: echo, public: true }]\n");
    expect(routes[0]?.streams).toEqual({ recheckMs: 30_000, graceOnExpiryMs: 0 });
  });

  test.each([
    ["30s", "3:14 type_wrong"],
    ["{ recheck: 999ms }", "3:25 value_out_of_range"],
    ["{ recheck: 25h }", "3:25 value_out_of_range"],
    ["{ recheck: 30 }", "3:25 type_wrong"],
    ["{ graceOnExpiry: 25h }", "3:31 value_out_of_range"],
    ["{ graceOnExpiry: soon }", "3:31 value_invalid"],
    ["{ grace: 1s }", "3:16 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(route(written))).toEqual([place]);
  });

  test("have no meaning where no credential is looked at", async () => {
    const open = "routes:\n  - upstream: echo\n    streams: {}\n    public: true\n";
    expect(await placesOf(open)).toEqual(["3:5 streams_public"]);
  });
});

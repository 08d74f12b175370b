import { describe, expect, test } from "bun:test";
import { upstreamTarget } from "../../src/proxy/target.ts";

describe("upstreamTarget()", () => {
  test.each([
    [{}, "/orders/1", "?a=1", "/orders/1?a=1"],
    [{ stripPrefix: "/orders" }, "/orders/1", "", "/1"],
    [{ stripPrefix: "/orders/" }, "/orders/1", "", "/1"],
    [{ stripPrefix: "/orders" }, "/orders", "?a", "/?a"],
    [{ stripPrefix: "/orders" }, "/orders/", "", "/"],
    [{ stripPrefix: "/orders" }, "/orders-old/1", "", "/orders-old/1"],
    [{ stripPrefix: "/orders" }, "/orders;x/1", "", "/orders;x/1"],
    [{ stripPrefix: "/" }, "/orders", "", "/orders"],
    [{ addPrefix: "/v1" }, "/orders/1", "", "/v1/orders/1"],
    [{ addPrefix: "/v1/" }, "/", "?x", "/v1/?x"],
    [{ stripPrefix: "/a", addPrefix: "/b" }, "/a/c%2Fd", "", "/b/c%2Fd"],
  ])("with %j makes of %s%s %s", (route, path, query, target) => {
    expect(upstreamTarget(route, { parameters: [] }, path, query)).toBe(target);
  });

  test("takes the credential out of the query", () => {
    const plan = { parameters: ["access_token"] };
    expect(upstreamTarget({}, plan, "/a", "?b=1&access_token=x&c=%27")).toBe("/a?b=1&c=%27");
  });
});

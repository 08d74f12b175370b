import { describe, expect, test } from "bun:test";
import { mapClaims } from "../../src/identity/map-claims.ts";

describe("mapClaims()", () => {
  test("leaves what is not mapped as the token has it", () => {
    expect(mapClaims({ sub: "a", level: 3, deep: { x: [1] } }, {})).toEqual({
      sub: "a",
      level: 3,
      deep: { x: [1] },
    });
  });

  test("takes the exact member first, then the dotted path", () => {
    const payload = { "a.b": "exact", a: { b: "path" }, c: { d: { e: "deep" } } };
    expect(mapClaims(payload, { one: "a.b", two: "c.d.e" })).toMatchObject({
      one: "exact",
      two: "deep",
    });
    const url = { "https://acme.dev/groups": ["x"] };
    expect(mapClaims(url, { groups: "https://acme.dev/groups" }).groups).toEqual(["x"]);
  });

  test("replaces what the token has under the name, and removes it with its source", () => {
    expect(
      mapClaims({ roles: ["self-made"], realm: { roles: ["real"] } }, { roles: "realm.roles" })
        .roles,
    ).toEqual(["real"]);
    expect(mapClaims({ roles: ["self-made"] }, { roles: "realm.roles" })).toEqual({});
    expect(mapClaims({ tier: "gold" }, { tier: "plan.tier" })).toEqual({});
  });

  test("two names may swap", () => {
    expect(mapClaims({ a: 1, b: 2 }, { a: "b", b: "a" })).toEqual({ a: 2, b: 1 });
  });

  test.each([
    "__proto__",
    "constructor",
    "toString",
    "a.__proto__",
    "a.constructor.name",
    "list.0",
    "list.length",
    "text.length",
  ])("finds nothing at %s that the token has not", (source) => {
    expect(mapClaims({ a: {}, list: ["x"], text: "x" }, { found: source })).not.toHaveProperty(
      "found",
    );
  });

  test("__proto__ is data, as a source and as a name", () => {
    const payload = JSON.parse('{"__proto__":{"admin":true},"x":{"__proto__":"y"}}');
    const claims = mapClaims(payload, {
      found: "__proto__.admin",
      inner: "x.__proto__",
      ["__proto__"]: "x",
    });
    expect(Object.getPrototypeOf(claims)).toBe(Object.prototype);
    expect(claims.admin).toBeUndefined();
    expect(claims.found).toBe(true);
    expect(claims.inner).toBe("y");
  });

  test.each(["roles", "groups", "scopes"])("%s is a list of strings, or not there", (name) => {
    const list = (value: unknown) => mapClaims({ [name]: value }, {})[name];
    expect(list("admin")).toEqual(["admin"]);
    expect(list("a b")).toEqual(["a b"]);
    expect(list(["a", "b"])).toEqual(["a", "b"]);
    expect(list([])).toEqual([]);
    for (const value of [1, null, { admin: true }, ["a", 1], [["a"]], true]) {
      expect(list(value) ?? []).toEqual([]);
    }
    expect(mapClaims({}, {})).toEqual({});
  });

  test("a mapped list is normalised, too", () => {
    expect(mapClaims({ r: "admin" }, { roles: "r" }).roles).toEqual(["admin"]);
    expect(mapClaims({ r: [1] }, { roles: "r" })).not.toHaveProperty("roles");
  });

  test("scope and scp are split on spaces into scopes", () => {
    expect(mapClaims({ scope: "read  write" }, {}).scopes).toEqual(["read", "write"]);
    expect(mapClaims({ scp: "read write" }, {}).scopes).toEqual(["read", "write"]);
    expect(mapClaims({ scp: ["read", "write"] }, {}).scopes).toEqual(["read", "write"]);
    expect(mapClaims({ scope: "a b", scp: "b c" }, {}).scopes).toEqual(["a", "b", "c"]);
    expect(mapClaims({ scope: "" }, {}).scopes).toEqual([]);
    expect(mapClaims({ scope: 1 }, {}).scopes).toEqual([]);
    expect(mapClaims({ scope: "a b" }, {}).scope).toBe("a b");
    expect(mapClaims({ scope: "a b" }, { scopes: "scope" }).scopes).toEqual(["a", "b"]);
    expect(
      mapClaims({ scope: "a b", permissions: ["p"] }, { scopes: "permissions" }).scopes,
    ).toEqual(["p"]);
    expect(mapClaims({ scope: "a b" }, { scopes: "permissions" })).not.toHaveProperty("scopes");
  });

  test("is frozen to the bottom", () => {
    const claims = mapClaims({ roles: ["a"], deep: { list: [{ x: 1 }] } }, {});
    const seen: unknown[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      seen.push(value);
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(visit);
    };
    visit(claims);
    expect(seen).toHaveLength(5);
  });
});

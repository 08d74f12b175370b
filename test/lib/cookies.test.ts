import { describe, expect, test } from "bun:test";
import { cookiesBeginning, cookiesNamed, setCookie } from "../../src/lib/cookies.ts";

describe("cookiesNamed()", () => {
  test.each([
    [null, []],
    ["", []],
    ["a=1", ["1"]],
    ["b=0; a=1;a=2 ; aa=3; A=4", ["1", "2"]],
    ["a", []],
    ["a=", [""]],
    ["a=b=c", ["b=c"]],
    ["xa=1", []],
  ] as [string | null, string[]][])("in %j finds %j", (header, values) => {
    expect(cookiesNamed(header, "a")).toEqual(values);
  });
});

test("cookiesBeginning() tells names, of however many cookies", () => {
  expect(cookiesBeginning("x-1=a; y=b; x-2=c", "x-")).toEqual([
    { name: "x-1", value: "a" },
    { name: "x-2", value: "c" },
  ]);
  const many = Array.from({ length: 500 }, (_, at) => `x-${at}=`).join(";");
  expect(cookiesBeginning(many, "x-").length).toBe(500);
});

test("setCookie() is for this host alone", () => {
  expect(setCookie({ name: "__Host-a", value: "b", secure: true })).toBe(
    "__Host-a=b; Path=/; HttpOnly; SameSite=Lax; Secure",
  );
  expect(setCookie({ name: "a", value: "", maxAgeSeconds: 0, secure: false })).toBe(
    "a=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0",
  );
});

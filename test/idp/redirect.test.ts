import { describe, expect, test } from "bun:test";
import { isLoopbackRedirect, redirectTo } from "../../src/idp/redirect.ts";

describe("isLoopbackRedirect()", () => {
  test.each([
    "http://127.0.0.1:3000/cb",
    "http://127.8.9.1/cb?x=1&y=%20",
    "http://[::1]:3000/cb",
    "http://localhost:3000/",
    "https://app.localhost/.claimgate/callback",
    "http://LOCALHOST:3000/cb",
  ])("takes %s", (address) => expect(isLoopbackRedirect(address)).toBe(true));

  test.each([
    "https://example.com/cb",
    "http://127.0.0.1.example.com/cb",
    "http://127.0.0.1@example.com/cb",
    "http://example.com@127.0.0.1/cb",
    "http://localhost:pw@127.0.0.1/cb",
    "http://example.com\\@127.0.0.1/cb",
    "http://127.0.0.1\\.example.com/cb",
    "http://127.0.0.1/cb#part",
    "http://127.0.0.1/cb\r\nX: y",
    "http://127.0.0.1/c b",
    "http://127.0.0.1/ü",
    "http://10.0.0.1/cb",
    "http://0.0.0.0/cb",
    "http://localhost.example.com/cb",
    "javascript:alert(1)//127.0.0.1",
    "myapp://127.0.0.1/cb",
    "//127.0.0.1/cb",
    "/cb",
    "http://",
    "http:127.0.0.1/cb",
    "",
  ])("refuses %p", (address) => expect(isLoopbackRedirect(address)).toBe(false));
});

describe("redirectTo()", () => {
  test.each([
    ["http://localhost/cb", "http://localhost/cb?code=a%26b"],
    ["http://localhost/cb?x=1", "http://localhost/cb?x=1&code=a%26b"],
  ])("adds to %s and changes nothing of it", (address, location) => {
    const response = redirectTo(address, { code: "a&b", state: undefined });
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toBe(location);
  });

  test("adds nothing when there is nothing", () => {
    const response = redirectTo("http://localhost/cb", { state: undefined });
    expect(response.headers.get("location")).toBe("http://localhost/cb");
  });
});

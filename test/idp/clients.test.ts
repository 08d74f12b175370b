import { describe, expect, test } from "bun:test";
import { authenticateClient } from "../../src/idp/clients.ts";

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString("base64")}`;
const known = new Map([
  ["app", "s3cret & more"],
  ["spa", ""],
]);
const anyone = new Map<string, string>();

describe("authenticateClient()", () => {
  test("takes any client, with any secret or none, when none is known", () => {
    const expected = { ok: true, value: { id: "me", isPublic: false } } as const;
    expect(authenticateClient(anyone, null, { client_id: "me" })).toEqual(expected);
    expect(authenticateClient(anyone, null, { client_id: "me", client_secret: "x" })).toEqual(
      expected,
    );
    expect(authenticateClient(anyone, basic("me:x"), {})).toEqual(expected);
  });

  test("takes the secret of a known client in either place", () => {
    const expected = { ok: true, value: { id: "app", isPublic: false } } as const;
    const post = { client_id: "app", client_secret: "s3cret & more" };
    expect(authenticateClient(known, null, post)).toEqual(expected);
    expect(authenticateClient(known, basic("app:s3cret+%26+more"), {})).toEqual(expected);
    expect(authenticateClient(known, basic("app:s3cret & more"), { client_id: "app" })).toEqual(
      expected,
    );
  });

  test("tells that a client without secret is public", () => {
    const expected = { ok: true, value: { id: "spa", isPublic: true } } as const;
    expect(authenticateClient(known, null, { client_id: "spa" })).toEqual(expected);
    expect(authenticateClient(known, basic("spa:"), {})).toEqual(expected);
  });

  test.each([
    ["an unknown id", null, { client_id: "other" }],
    ["no secret", null, { client_id: "app" }],
    ["a wrong secret", null, { client_id: "app", client_secret: "s3cret" }],
    ["a wrong secret in Basic", basic("app:s3cret"), {}],
    ["a secret that a public client does not have", null, { client_id: "spa", client_secret: "x" }],
    ["no id at all", null, {}],
    ["another scheme", "Bearer abc", { client_id: "spa" }],
    ["Basic without colon", basic("app"), {}],
    ["Basic that is not base64", "Basic §§", {}],
    ["a name of Object.prototype", null, { client_id: "constructor" }],
  ])("refuses %s", (_, authorization, body) => {
    const result = authenticateClient(known, authorization, body);
    expect(result).toMatchObject({ ok: false, error: { code: "invalid_client" } });
  });

  test.each([
    ["a secret in two places", { client_id: "app", client_secret: "s3cret & more" }],
    ["two ids", { client_id: "spa" }],
  ])("refuses %s as malformed", (_, body) => {
    const result = authenticateClient(known, basic("app:s3cret & more"), body);
    expect(result).toMatchObject({ ok: false, error: { code: "invalid_request" } });
  });
});

import { describe, expect, test } from "bun:test";
import { parse } from "yaml";
import { starterConfig } from "../../../src/cli/init/starter.ts";

describe("starterConfig()", () => {
  test("begins with the line by which editors find the schema", () => {
    const [first] = starterConfig({ kind: "development" }).split("\n");
    expect(first).toBe("# yaml-language-server: $schema=.claimgate/schema.json");
  });

  test("has the development issuer, one guarded route to echo and one public", () => {
    expect(parse(starterConfig({ kind: "development" }))).toEqual({
      listen: "127.0.0.1:8080",
      policies: "policies",
      issuers: [{ name: "dev", development: true }],
      routes: [
        {
          name: "home",
          match: { path: "/*" },
          upstream: "echo",
          policies: ["staff"],
          identityHeaders: { "X-User": "sub", "X-Roles": "roles" },
        },
        { name: "public", match: { path: "/public/*" }, upstream: "echo", public: true },
      ],
    });
  });

  test("has a real issuer with its audience; dollars and quotes stay what they are", () => {
    const odd = 'https://id.example.com/a"b$HOME';
    const { issuers } = parse(starterConfig({ kind: "real", issuer: odd, audience: "api $1" }));
    expect(issuers).toEqual([
      {
        name: "main",
        issuer: 'https://id.example.com/a"b$$HOME',
        audiences: ["api $$1"],
        claims: { roles: "roles" },
      },
    ]);
  });

  test("leaves the audience open where it is not known, for check to name it", () => {
    const { issuers } = parse(starterConfig({ kind: "real", issuer: "https://id.example.com" }));
    expect(issuers[0].audiences).toEqual([]);
  });

  test("fits 100 columns", () => {
    const issuer = { kind: "real", issuer: "https://id.example.com" } as const;
    for (const text of [starterConfig({ kind: "development" }), starterConfig(issuer)]) {
      expect(text.split("\n").filter((line) => line.length > 100)).toEqual([]);
    }
  });
});

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import { jsonSchema } from "../../src/config/json-schema.ts";

type Schema = {
  readonly [keyword: string]: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};

// Written out: a key lost from the schema must fail here.
const TOP_KEYS =
  `$schema listen publicUrl tls http allowPlainHttp trustedProxies policies policyTimeout
  reload geo issuers routes store revocation session ledger audit limits admin pages workers log`.split(
    /\s+/,
  );
const ISSUER_KEYS = `name issuer audiences jwksUri jwks publicKey keys algorithms tokenTypes
  clockTolerance maxLifetime requiredClaims decryptionKey claims development login introspection`.split(
  /\s+/,
);
const ROUTE_KEYS = `name match upstream stripPrefix addPrefix issuers credentials login crossSite
  policies anyAuthenticated public identityHeaders forwardToken assertion requestHeaders responseHeaders preserveHost
  timeout ambiguousPaths rateLimit streams`.split(/\s+/);

/** As a file holds it. */
const written = (...args: Parameters<typeof jsonSchema>): Schema =>
  JSON.parse(JSON.stringify(jsonSchema(...args)));

describe("jsonSchema()", () => {
  test("has every key, and no other passes", () => {
    const { properties, additionalProperties, $schema } = written();
    expect($schema).toBe("http://json-schema.org/draft-07/schema#");
    expect(Object.keys(properties ?? {})).toEqual(TOP_KEYS);
    expect(additionalProperties).toBe(false);
    const issuer = properties?.issuers?.items;
    expect(Object.keys(issuer?.properties ?? {})).toEqual(ISSUER_KEYS);
    expect(issuer?.additionalProperties).toBe(false);
    const route = properties?.routes?.items;
    expect(Object.keys(route?.properties ?? {})).toEqual(ROUTE_KEYS);
    expect(route?.additionalProperties).toBe(false);
  });

  test("says something about each key", () => {
    const silent: string[] = [];
    const visit = (schema: Schema | undefined, path: string) => {
      for (const [key, property] of Object.entries(schema?.properties ?? {})) {
        if ((property.description ?? "").length < 10) silent.push(`${path}.${key}`);
        visit(property, `${path}.${key}`);
        visit(property.items, `${path}.${key}`);
        for (const branch of property.items?.anyOf ?? []) visit(branch, `${path}.${key}`);
      }
    };
    visit(written(), "");
    expect(silent).toEqual([]);
  });

  test("lets a reference to the environment stand for a switch, a choice and a duration", () => {
    const { properties } = written();
    expect(properties?.allowPlainHttp).toMatchObject({ type: ["boolean", "string"] });
    const level = properties?.log?.properties?.level;
    expect(level?.anyOf?.[0]).toEqual({ enum: ["debug", "info", "warn", "error"] });
    expect(level?.anyOf?.[1]).toEqual({ type: "string", pattern: "\\$\\{" });
    const duration = new RegExp(String(properties?.policyTimeout?.pattern));
    expect(["250ms", "1.5s", "${T}"].filter((text) => !duration.test(text))).toEqual([]);
    expect(["250", "soon", "1 s"].filter((text) => duration.test(text))).toEqual([]);
  });

  test("knows the policies and their options", () => {
    const options = Type.Object({
      pattern: Type.String({ description: "What to look for" }),
      anyOf: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    });
    const schema = written(
      new Map([
        ["staff", undefined],
        ["match", options],
      ]),
    );
    expect(schema.properties?.routes?.items?.properties?.policies?.items).toEqual({
      $ref: "#/definitions/policy",
    });
    const { policy } = schema.definitions as { policy: Schema };
    expect(policy.anyOf?.[0]).toEqual({ type: "string", enum: ["staff", "match"] });
    const map = policy.anyOf?.[1];
    expect(map?.additionalProperties).toBe(false);
    expect(Object.keys(map?.properties ?? {})).toEqual([
      "staff",
      "match",
      "all",
      "any",
      "not",
      "shadow",
    ]);
    expect(map?.properties?.match).toEqual({
      type: "object",
      additionalProperties: false,
      required: ["pattern"],
      properties: {
        pattern: { type: "string", description: "What to look for" },
        anyOf: { type: "array", items: { type: "string" }, minItems: 1 },
      },
    });
  });

  test("takes any policy while none are known", () => {
    const { policy } = written().definitions as { policy: Schema };
    expect(policy.anyOf?.[0]).toEqual({ type: "string" });
    expect(policy.anyOf?.[1]?.additionalProperties).toBeUndefined();
  });
});

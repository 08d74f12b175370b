/**
 * `issuers` in claimgate.yaml, as written.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { IntrospectionSchema, LoginSchema } from "./schema-login.ts";
import { Closed, Duration, Secret, Switch, Text, TextMap, Texts } from "./schema-parts.ts";

const KeysSchema = Type.Object(
  {
    refresh: Type.Optional(Duration("How often keys are fetched. Default 10m.", "10m")),
    staleFor: Type.Optional(
      Duration("How long the last good keys serve while the issuer is down. Default 1h.", "1h"),
    ),
  },
  { ...Closed, description: "How the issuer's keys are kept." },
);

export const IssuerSchema = Type.Object(
  {
    name: Text("What routes call this issuer."),
    issuer: Type.Optional(
      Text(
        "The issuer's identifier, compared exactly with `iss`. Its keys are found by discovery unless jwksUri, jwks or publicKey says where they are.",
      ),
    ),
    audiences: Type.Optional(
      Texts(
        "At least one of these must be in a token's `aud`. Required, but for an issuer with nothing but login.",
        { examples: [["api://internal"]] },
      ),
    ),
    jwksUri: Type.Optional(Text("Address of the JWK Set; https, or http on loopback.")),
    jwks: Type.Optional(Text("File with the JWK Set.")),
    publicKey: Type.Optional(Text("PEM file with one public key.")),
    keys: Type.Optional(KeysSchema),
    algorithms: Type.Optional(
      Texts("Signature algorithms that pass. Default every asymmetric one.", {
        examples: [["RS256", "ES256"]],
      }),
    ),
    tokenTypes: Type.Optional(
      Texts("Values of `typ` that pass. Default at+jwt, JWT, or no `typ`.", {
        examples: [["at+jwt", "JWT"]],
      }),
    ),
    clockTolerance: Type.Optional(
      Duration("How far clocks may differ, at most 5m. Default 30s.", "30s"),
    ),
    maxLifetime: Type.Optional(
      Duration("The longest time a token may be good for. Default 24h.", "24h"),
    ),
    requiredClaims: Type.Optional(
      Texts("Claims that each token must have besides iss, aud and exp. Default sub.", {
        default: ["sub"],
      }),
    ),
    decryptionKey: Type.Optional(
      Secret(
        "Private key (JWK or PKCS #8 PEM), best as file:PATH. Tokens must then be encrypted to it, around a signed token.",
      ),
    ),
    claims: Type.Optional(
      TextMap(
        "Our name for a claim: where the token has it. The exact member first, then the dotted path.",
      ),
    ),
    development: Type.Optional(
      Switch(
        "true: the built-in development issuer, with keys in .claimgate/ and audience dev. Only with loopback listen addresses. Default false.",
        false,
      ),
    ),
    login: Type.Optional(LoginSchema),
    introspection: Type.Optional(IntrospectionSchema),
  },
  { ...Closed, description: "An identity provider whose tokens are trusted." },
);

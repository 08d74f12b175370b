/**
 * The shape of what concerns people who sign in, and tokens that issuers are asked about.
 * What values mean is checked by read-login.ts, read-credentials.ts and read-session.ts.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { Choice, Closed, Duration, Secret, Switch, Text, Texts } from "./schema-parts.ts";

/** As the owner may write them: RFC 7591 §2 has longer names for two. */
const CLIENT_AUTH = [
  "basic",
  "post",
  "private_key_jwt",
  "none",
  "client_secret_basic",
  "client_secret_post",
] as const;

export const LoginSchema = Type.Object(
  {
    clientId: Text("The gate's name at the provider."),
    clientSecret: Type.Optional(
      Secret("The gate's secret at the provider, best as file:PATH or from a variable."),
    ),
    clientKey: Type.Optional(
      Secret(
        "Private key (JWK or PKCS #8 PEM), best as file:PATH, for clientAuth: private_key_jwt.",
      ),
    ),
    clientAuth: Type.Optional(
      Type.Union(
        CLIENT_AUTH.map((word) => Type.Literal(word as (typeof CLIENT_AUTH)[number])),
        {
          description:
            "How the gate proves who it is: basic, post, private_key_jwt, or none (PKCE alone). Default what the provider's metadata say.",
        },
      ),
    ),
    scopes: Type.Optional(
      Texts("What is asked for; openid always is. Default openid, profile, email.", {
        default: ["openid", "profile", "email"],
        examples: [["openid", "profile", "offline_access"]],
      }),
    ),
    userinfo: Type.Optional(
      Switch(
        "true: claims of the UserInfo endpoint are laid over those of the ID token. Default false.",
        false,
      ),
    ),
  },
  { ...Closed, description: "People sign in with this issuer, by OpenID Connect." },
);

export const IntrospectionSchema = Type.Object(
  {
    url: Text("The introspection endpoint; https, or http on loopback."),
    clientId: Text("The gate's name at the issuer."),
    clientSecret: Type.Optional(
      Secret("The gate's secret at the issuer, best as file:PATH or from a variable."),
    ),
    cache: Type.Optional(
      Duration("How long an answer holds, at most 1h; 0s asks each time. Default 30s.", "30s"),
    ),
  },
  { ...Closed, description: "Where opaque tokens are asked about (RFC 7662)." },
);

export const AssertionSchema = Type.Object(
  {
    header: Text("The header that carries it. The client's own is removed."),
    audience: Text("Its `aud`: what the upstream holds it against."),
    lifetime: Type.Optional(Duration("How long it is good for, 1s to 1h. Default 60s.", "60s")),
    claims: Type.Optional(Texts("Claims that are passed on. Default sub.", { default: ["sub"] })),
  },
  { ...Closed, description: "A token of the gate's own about the user, for the upstream." },
);

export const SessionSchema = Type.Object(
  {
    idle: Type.Optional(
      Duration("A session that nobody uses ends after this, 1s to 90d. Default 1h.", "1h"),
    ),
    lifetime: Type.Optional(
      Duration("Every session ends after this, 1s to 365d. Default 12h.", "12h"),
    ),
    refresh: Type.Optional(
      Duration(
        "How often claims are renewed where the provider gave a refresh token, 1s to 24h. Default 5m.",
        "5m",
      ),
    ),
    secret: Type.Optional(
      Type.Union([Secret(), Type.Array(Secret())], {
        description:
          "What stored tokens and cookies are protected with, best as file:PATH or from a variable. Of a list the first writes and all read. Made by itself beside a SQLite store; needed with Redis.",
        writeOnly: true,
      }),
    ),
  },
  { ...Closed, description: "Sessions of people who have signed in." },
);

export const PagesSchema = Type.Object(
  {
    name: Type.Optional(Text("Whose gate this is, as people know it. Up to 64 characters.")),
    colour: Type.Optional(Text("A colour for buttons and links, for example #0a7 or #00aa77.")),
  },
  { ...Closed, description: "How the gate's own pages look: sign-in, denial, sign-out." },
);

export const CrossSite = Choice(
  "Unsafe methods and upgrades with a session cookie from a foreign Origin. refuse: 403. Default refuse.",
  "refuse",
  "allow",
);

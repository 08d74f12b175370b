/**
 * `routes` in claimgate.yaml, as written.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { RateLimitSchema } from "./schema-ledger.ts";
import { AssertionSchema, CrossSite } from "./schema-login.ts";
import { Closed, Duration, Switch, Text, TextMap, Texts } from "./schema-parts.ts";

/** Where the JSON Schema says what an entry of `policies` may be; read-policies.ts checks it here. */
export const POLICY_DEFINITION = "#/definitions/policy";

const MatchSchema = Type.Object(
  {
    host: Type.Optional(
      Text("A host, or *.acme.dev for one label before acme.dev. Default any host."),
    ),
    path: Type.Optional(
      Text("An exact path, or prefix/* for the prefix and all below it. Default /*.", "/*"),
    ),
    methods: Type.Optional(
      Texts("HTTP methods; GET implies HEAD. Default all.", { examples: [["GET", "POST"]] }),
    ),
  },
  { ...Closed, description: "Which requests are this route's. The most specific route wins." },
);

const CredentialSchema = Type.Object(
  {
    header: Type.Optional(Text("A header with the token, bare or after Bearer.")),
    cookie: Type.Optional(Text("A cookie with the token.")),
    query: Type.Optional(Text("A query parameter with the token.")),
  },
  { ...Closed, minProperties: 1, maxProperties: 1 },
);

export const edits = (description: string) =>
  Type.Object(
    {
      set: Type.Optional(TextMap("Header: value. Replaces what is there.", { writeOnly: true })),
      remove: Type.Optional(Texts("Headers to take away.")),
    },
    { ...Closed, description },
  );

const StreamsSchema = Type.Object(
  {
    recheck: Type.Optional(
      Duration("How often the policies are asked again, 1s to 24h. Default 30s.", "30s"),
    ),
    graceOnExpiry: Type.Optional(
      Duration("How long a stream may outlive its token, at most 24h. Default 0s.", "0s"),
    ),
  },
  { ...Closed, description: "When open WebSockets, event streams and long answers are closed." },
);

export const RouteSchema = Type.Object(
  {
    name: Type.Optional(Text("What logs and explanations call this route. Default host and path.")),
    match: Type.Optional(MatchSchema),
    upstream: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String())], {
        description:
          "Where approved requests go: http(s)://host:port, unix:PATH, echo (answers with the request as the upstream would see it), or a list of addresses. Only a route that another proxy asks about, at /.claimgate/verify, needs none.",
      }),
    ),
    stripPrefix: Type.Optional(Text("Taken off the path before it goes to the upstream.")),
    addPrefix: Type.Optional(Text("Put before the path on its way to the upstream.")),
    issuers: Type.Optional(
      Texts("Names of issuers whose tokens pass here. May be left out while there is only one."),
    ),
    credentials: Type.Optional(
      Type.Array(
        Type.Union([
          Type.String({
            enum: ["header", "session"],
            description: "Authorization: Bearer, or the gate's own cookie",
          }),
          CredentialSchema,
        ]),
        {
          description:
            "Where the token is looked for: header (Authorization: Bearer), { header: NAME }, { cookie: NAME }, { query: NAME }, or session (people who signed in). Default header, with login session too.",
          default: ["header"],
        },
      ),
    ),
    login: Type.Optional(
      Type.Union([Type.Boolean(), Type.String()], {
        description:
          "Browsers without a credential are sent to sign in. true: with an issuer that has login; or the name of one. Default false.",
        default: false,
      }),
    ),
    crossSite: Type.Optional(CrossSite),
    policies: Type.Optional(
      Type.Array(Type.Unknown({ $ref: POLICY_DEFINITION }), {
        description:
          "Policies that must all allow: NAME, NAME: { options }, or all, any, not, shadow around them.",
      }),
    ),
    anyAuthenticated: Type.Optional(
      Switch("true: any verified token passes, no policy needed. Default false.", false),
    ),
    public: Type.Optional(
      Switch("true: no credential is looked at and everyone passes. Default false.", false),
    ),
    identityHeaders: Type.Optional(
      TextMap("Header for the upstream: the claim it carries. The client's own are removed."),
    ),
    forwardToken: Type.Optional(
      Switch("true: the upstream sees the credential. Default false.", false),
    ),
    assertion: Type.Optional(AssertionSchema),
    requestHeaders: Type.Optional(edits("Changes to what goes to the upstream.")),
    responseHeaders: Type.Optional(edits("Changes to what goes back to the client.")),
    preserveHost: Type.Optional(
      Switch("true: the upstream sees the client's Host. Default false.", false),
    ),
    timeout: Type.Optional(
      Duration("How long until the upstream's answer begins, at most 1h. Default 30s.", "30s"),
    ),
    ambiguousPaths: Type.Optional(
      Type.Union([Type.Literal("refuse"), Type.Literal("allow")], {
        description:
          "Paths that can be read in two ways (%2f, //, …). allow: forwarded if every reading is this route's. Default refuse.",
        default: "refuse",
      }),
    ),
    rateLimit: Type.Optional(RateLimitSchema),
    streams: Type.Optional(StreamsSchema),
  },
  { ...Closed, description: "A match with its upstream, issuers and policies." },
);

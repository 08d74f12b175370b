/**
 * The shape of claimgate.yaml as written: which keys there are, what kind of value each
 * takes, and what editors say about it. What values mean together is checked by the
 * `read-*` files. `${NAME}` has already been replaced when this is applied.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import {
  AdminSchema,
  AuditSchema,
  LedgerSchema,
  LimitsSchema,
  RateLimitSchema,
  RevocationSchema,
  StoreSchema,
} from "./schema-ledger.ts";
import {
  AssertionSchema,
  CrossSite,
  IntrospectionSchema,
  LoginSchema,
  PagesSchema,
  SessionSchema,
} from "./schema-login.ts";
import { Closed, Duration, Secret, Switch, Text, TextMap, Texts } from "./schema-parts.ts";

/** Where the JSON Schema says what an entry of `policies` may be; read-policies.ts checks it here. */
export const POLICY_DEFINITION = "#/definitions/policy";

const SIZE_PATTERN = "^\\d+(\\.\\d+)?(B|KB|MB|GB)$";

const TlsSchema = Type.Object(
  {
    cert: Text("PEM file of the certificate chain. Read again when it changes."),
    key: Text("PEM file of the certificate's private key."),
    clientCa: Type.Optional(Text("PEM file of the authorities whose client certificates pass.")),
    clientAuth: Type.Optional(
      Type.Union([Type.Literal("none"), Type.Literal("required")], {
        description:
          "required: a connection without a client certificate of clientCa fails at the handshake. Default none.",
        default: "none",
      }),
    ),
  },
  { ...Closed, description: "Serve HTTPS with this certificate." },
);

const HttpSchema = Type.Object(
  {
    http2: Type.Optional(Switch("Offer HTTP/2 to clients over TLS. Default true.", true)),
    maxBodySize: Type.Optional(
      Type.String({
        title: "size",
        description: "The largest request body, for example 16KB or 10MB. Default 100MB.",
        pattern: SIZE_PATTERN,
        default: "100MB",
      }),
    ),
    idleTimeout: Type.Optional(
      Duration(
        "How long a silent connection stays open, 1s to 255s. Never cuts WebSockets or event streams. Default 120s.",
        "120s",
      ),
    ),
  },
  { ...Closed, description: "Bounds of requests and connections." },
);

const KeysSchema = Type.Object(
  {
    refresh: Type.Optional(Duration("How often keys are fetched. Default 10m.", "10m")),
    staleFor: Type.Optional(
      Duration("How long the last good keys serve while the issuer is down. Default 1h.", "1h"),
    ),
  },
  { ...Closed, description: "How the issuer's keys are kept." },
);

const IssuerSchema = Type.Object(
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

const edits = (description: string) =>
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

const RouteSchema = Type.Object(
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

export const FileSchema = Type.Object(
  {
    $schema: Type.Optional(Text("Where this file's JSON Schema is, for editors.")),
    listen: Type.Optional(
      Type.Union(
        [Type.String(), Type.Integer(), Type.Array(Type.Union([Type.String(), Type.Integer()]))],
        {
          description:
            "Address and port, unix:PATH, or a list. A port alone (8080 or :8080) listens on all IPv4 addresses. Default 127.0.0.1:8080.",
          default: "127.0.0.1:8080",
        },
      ),
    ),
    publicUrl: Type.Optional(
      Text("The gate's own origin as browsers see it, https or http on loopback. Login needs it."),
    ),
    tls: Type.Optional(TlsSchema),
    http: Type.Optional(HttpSchema),
    allowPlainHttp: Type.Optional(
      Switch("true: tokens may travel unencrypted beyond this machine. Default false.", false),
    ),
    trustedProxies: Type.Optional(
      Texts(
        "Peers (address ranges, or unix) whose X-Forwarded-For and X-Forwarded-Proto are believed. Default none.",
        { default: [], examples: [["10.0.0.0/8"]] },
      ),
    ),
    policies: Type.Optional(
      Text("Folder of TypeScript policies, watched for changes. Default policies.", "policies"),
    ),
    policyTimeout: Type.Optional(
      Duration("How long one policy may take, at most 10s. Default 250ms.", "250ms"),
    ),
    reload: Type.Optional(
      Type.Object(
        {
          requireCases: Type.Optional(
            Switch("A policy whose own cases fail is not put in force. Default true.", true),
          ),
        },
        { ...Closed, description: "When changes are put in force." },
      ),
    ),
    geo: Type.Optional(
      Text("An .mmdb file that knows the countries of addresses, or their places too."),
    ),
    issuers: Type.Optional(
      Type.Array(IssuerSchema, { description: "Identity providers whose tokens are trusted." }),
    ),
    routes: Type.Array(RouteSchema, { description: "What is served. Nothing else passes." }),
    store: Type.Optional(StoreSchema),
    revocation: Type.Optional(RevocationSchema),
    session: Type.Optional(SessionSchema),
    ledger: Type.Optional(LedgerSchema),
    audit: Type.Optional(AuditSchema),
    limits: Type.Optional(LimitsSchema),
    admin: Type.Optional(AdminSchema),
    pages: Type.Optional(PagesSchema),
    workers: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: 64 }), Type.Literal("auto")], {
        description:
          "Processes that serve together (Linux): a number up to 64, or auto, one for each core. Default 1.",
        default: 1,
      }),
    ),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Union(
              ["debug", "info", "warn", "error"].map((level) =>
                Type.Literal(level as "debug" | "info" | "warn" | "error"),
              ),
              {
                description: "The least severe events that are logged. Default info.",
                default: "info",
              },
            ),
          ),
        },
        { ...Closed, description: "What the log holds." },
      ),
    ),
  },
  { ...Closed, title: "claimgate.yaml", description: "Configuration of Claimgate" },
);

/**
 * What is left of a value after everything that does not fit its schema was taken out (and
 * reported): any member may be missing.
 */
type Fitting<T> = T extends readonly (infer Item)[]
  ? readonly (Fitting<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Fitting<T[Key]> | undefined }
    : T;

export type FileContent = Fitting<Static<typeof FileSchema>>;
export type IssuerContent = Fitting<Static<typeof IssuerSchema>>;
export type RouteContent = Fitting<Static<typeof RouteSchema>>;
export type HeaderEditsContent = Fitting<Static<ReturnType<typeof edits>>>;

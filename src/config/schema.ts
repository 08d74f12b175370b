/**
 * The shape of claimgate.yaml as written: which keys there are, what kind of value each
 * takes, and what editors say about it. What values mean together is checked by the
 * `read-*` files. `${NAME}` has already been replaced when this is applied.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";
import { IssuerSchema } from "./schema-issuers.ts";
import {
  AdminSchema,
  AuditSchema,
  LedgerSchema,
  LimitsSchema,
  RevocationSchema,
  StoreSchema,
} from "./schema-ledger.ts";
import { PagesSchema, SessionSchema } from "./schema-login.ts";
import { Closed, Duration, Switch, Text, Texts } from "./schema-parts.ts";
import { type edits, RouteSchema } from "./schema-routes.ts";

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

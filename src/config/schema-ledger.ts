/**
 * The shape of what concerns the store and what lies there: revocations, ledger, audit, limits;
 * and of the API that administers them. What values mean is checked by read-store.ts,
 * read-audit.ts, read-limits.ts and read-admin.ts.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { Choice, Closed, Count, Duration, Secret, Texts } from "./schema-parts.ts";

/** What a bucket may hold; both ends are allowed. */
export const LIMIT_RANGE = [1, 1_000_000] as const;

export const StoreSchema = Type.String({
  description:
    "Where revocations and the audit live: sqlite:PATH, or redis://… or rediss://… for several gates. May be file:PATH, as the address can hold a password. Default sqlite:claimgate.db.",
  default: "sqlite:claimgate.db",
  writeOnly: true,
});

export const RevocationSchema = Type.Object(
  {
    maxStaleness: Type.Optional(
      Duration(
        "How long the gate goes on with the revocations that it knows while the store does not answer, 1s to 24h. Default 30s.",
        "30s",
      ),
    ),
    onStoreLoss: Type.Optional(
      Choice(
        "What happens after that. refuse: requests with a token are 503. serve: they pass, and new revocations are not seen. Default refuse.",
        "refuse",
        "serve",
      ),
    ),
  },
  { ...Closed, description: "How revocations hold while the store is lost." },
);

export const LedgerSchema = Type.Object(
  {
    retain: Type.Optional(
      Duration(
        "How long tokens and sessions are remembered after they expired, at most 3650d. Default 7d.",
        "7d",
      ),
    ),
  },
  { ...Closed, description: "What is known of each token and session." },
);

export const AdminSchema = Type.Object(
  {
    listen: Type.Optional(
      Type.Union([Type.String(), Type.Integer()], {
        description:
          "Address and port, which need a token, or unix:PATH. Default unix:claimgate.sock beside the store.",
      }),
    ),
    token: Type.Optional(
      Secret("What callers must show as a bearer token, best as file:PATH or from a variable."),
    ),
  },
  { ...Closed, description: "The API for administrators and for this command line." },
);

export const AuditSchema = Type.Object(
  {
    claims: Type.Optional(
      Type.Union([Type.Literal("declared"), Type.Array(Type.String())], {
        description:
          "Claims that are recorded. declared: sub, and what the route's policies declare; or a list of names. Default declared.",
        default: "declared",
      }),
    ),
    query: Type.Optional(
      Texts("Query parameters that are recorded; nothing else of a query is. Default none.", {
        default: [],
      }),
    ),
    retain: Type.Optional(Duration("How long records are kept, 1s to 3650d. Default 90d.", "90d")),
    file: Type.Optional(
      Type.String({ description: "A JSON-lines file that records go to as well. Default none." }),
    ),
  },
  { ...Closed, description: "What is recorded of each decision, and for how long." },
);

const AddressLimitSchema = Type.Object(
  {
    limit: Type.Optional(
      Count("How many from one address in that time. Default 600.", 600, LIMIT_RANGE),
    ),
    per: Type.Optional(Duration("In which time, 1s to 24h. Default 1m.", "1m")),
    of: Type.Optional(Choice("What counts: failed verifications. Default failures.", "failures")),
  },
  Closed,
);

export const LimitsSchema = Type.Object(
  {
    address: Type.Optional(
      Type.Union([Type.Boolean(), AddressLimitSchema], {
        description:
          "Failed verifications from one address; past the limit its tokens are 429 unread. false: no limit. Default 600 per 1m.",
      }),
    ),
  },
  { ...Closed, description: "Limits of the whole gate." },
);

export const RateLimitSchema = Type.Object(
  {
    limit: Type.Optional(
      Count(
        "How many requests in that time, all at once or evenly. Default 100.",
        100,
        LIMIT_RANGE,
      ),
    ),
    per: Type.Optional(Duration("In which time, 1s to 24h. Default 1m.", "1m")),
    by: Type.Optional(
      Choice(
        "What has a limit of its own: each subject, token or address. Default subject; address on a public route.",
        "subject",
        "token",
        "address",
      ),
    ),
  },
  { ...Closed, description: "How many requests pass this route; more are 429. Default no limit." },
);

/**
 * Signing people in and out. Opened once for the life of the process, like the store that it
 * keeps sessions in; providers follow the configuration in force.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { openKeyFile } from "../config/key-file.ts";
import type { Config } from "../config/resolved.ts";
import type { Fetch } from "../identity/fetch-json.ts";
import type { Issuer } from "../identity/issuers.ts";
import type { Revocations } from "../ledger/revocations.ts";
import { err, ok } from "../result.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import { createAttemptCookies } from "./attempt.ts";
import { answerBackchannelLogout } from "./backchannel.ts";
import { answerCallback } from "./callback.ts";
import type { LoginAct, LoginAnswer, LoginContext, LoginRequest } from "./context.ts";
import { answerLogout, askLogout } from "./logout.ts";
import { createOrigins } from "./origins.ts";
import { openProvider, type Provider } from "./provider.ts";
import { signedOutPage } from "./screens.ts";
import { createKeyRing, type KeyRing } from "./seal.ts";
import { openSessions, type SessionFinder } from "./sessions.ts";
import { answerLogin } from "./start.ts";

export type Login = {
  readonly sessions: SessionFinder;
  /**
   * @param name What stands after `/.claimgate/`.
   * @returns `undefined` for a name that is not of signing in, or while no route has `login`.
   * @throws GateError `store_unavailable`.
   */
  answer(name: string, request: LoginRequest): Promise<LoginAnswer> | undefined;
};

type LoginDependencies = {
  readonly store: Store;
  readonly revocations: Pick<Revocations, "check" | "revoke">;
  /** Those in force. */
  readonly config: () => Config;
  readonly issuers: () => ReadonlyMap<string, Issuer>;
  /** The names of the issuers that the route of an address takes, where it has `login`. */
  readonly issuersOf: (address: URL) => readonly string[] | undefined;
  readonly record: (act: LoginAct) => void;
  readonly fetch: Fetch;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
};

const SESSION_KEY_BYTES = 32;

export function openLogin(deps: LoginDependencies): Login {
  const { store, revocations, log, now, record } = deps;
  const ring = createRingKeeper(deps.config);
  const providers = createProviders(deps);
  const providerOf = (name: string) => providers(deps.config(), name);
  const sessions = openSessions({
    store,
    ring,
    revocations,
    config: () => deps.config().session,
    providerOf,
    log,
    now,
  });

  async function contextNow(): Promise<LoginContext> {
    const config = deps.config();
    const origins = createOrigins(config);
    const keys = await ring();
    const withLogin = config.issuers.filter(({ login }) => login !== undefined);
    return {
      config,
      origins,
      ring: keys,
      attempts: createAttemptCookies(keys, origins.secure),
      sessions,
      store,
      revocations,
      providerOf,
      choicesFor(address) {
        const wanted = deps.issuersOf(address);
        const names = withLogin.map(({ name }) => name);
        return wanted === undefined ? names : names.filter((name) => wanted.includes(name));
      },
      record,
      log,
    };
  }

  return {
    sessions,
    answer(name, request) {
      const answerer = ANSWERERS[name];
      if (answerer === undefined || !hasLogin(deps.config())) return undefined;
      const { method } = request.inquiry;
      const allow = METHODS[name] ?? [];
      if (!allow.includes(method)) {
        const denial = { status: 405, code: "method_not_allowed", allow } as const;
        return Promise.resolve(err(denial));
      }
      return contextNow().then((context) => answerer(context, request));
    },
  };
}

/** Without, there is nothing to sign in for, and nothing to sign out of. */
function hasLogin({ routes, publicUrl }: Config): boolean {
  return publicUrl !== undefined && routes.some(({ login }) => login !== undefined);
}

type Answerer = (
  context: LoginContext,
  request: LoginRequest,
) => LoginAnswer | Promise<LoginAnswer>;

const ANSWERERS: Readonly<Record<string, Answerer>> = Object.assign(Object.create(null), {
  login: answerLogin,
  callback: answerCallback,
  logout: (context: LoginContext, request: LoginRequest) =>
    request.inquiry.method === "POST" ? answerLogout(context, request) : askLogout(context),
  "signed-out": ({ config }: LoginContext) => ok(signedOutPage(config.brand)),
  "backchannel-logout": answerBackchannelLogout,
});

/** Not HEAD for the callback: whoever only looks must not use the code up. */
const METHODS: Readonly<Record<string, readonly string[]>> = Object.assign(Object.create(null), {
  login: ["GET", "HEAD"],
  callback: ["GET"],
  logout: ["GET", "HEAD", "POST"],
  "signed-out": ["GET", "HEAD"],
  "backchannel-logout": ["POST"],
});

/** The keys of the secrets in force; made by itself beside an SQLite store where there are none. */
export function createRingKeeper(config: () => Config): () => Promise<KeyRing> {
  let made: { readonly of: string; readonly ring: Promise<KeyRing> } | undefined;

  async function make({ session, store }: Config): Promise<KeyRing> {
    if (session.secrets.length > 0) return createKeyRing(session.secrets);
    if (store.kind !== "sqlite") throw new Error("a Redis store goes with session.secret");
    const key = await openKeyFile({
      file: join(dirname(store.file), ".claimgate", "session.key"),
      bytes: SESSION_KEY_BYTES,
      risk: "who could read the sessions in the store",
      loss: "everybody then has to sign in again",
    });
    return createKeyRing([key]);
  }

  return () => {
    const now = config();
    const of = JSON.stringify(now.session.secrets);
    if (made?.of !== of) {
      const ring = make(now);
      made = { of, ring };
      // What could not be read now may be readable next time.
      ring.catch(() => {
        if (made?.ring === ring) made = undefined;
      });
    }
    return made.ring;
  };
}

/** One for each issuer that has `login`, for as long as its configuration stays the same. */
function createProviders({ issuers, fetch, now }: LoginDependencies) {
  const open = new WeakMap<Issuer, Provider>();
  return (config: Config, name: string): Provider | undefined => {
    const issuer = issuers().get(name);
    const login = issuer?.config.login;
    if (issuer === undefined || login === undefined || !hasLogin(config)) return undefined;
    const known = open.get(issuer);
    if (known !== undefined) return known;
    const provider = openProvider(issuer, login, { fetch, now });
    open.set(issuer, provider);
    return provider;
  };
}

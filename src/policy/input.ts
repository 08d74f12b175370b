/**
 * What a policy gets, made on demand: a policy that does not look at the headers costs no
 * copy of them. All of it is frozen or the policy's own, so that no policy can change what
 * the next one or the gate sees.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import type { History, Inquiry, Token } from "../types.ts";
import type { Cache } from "./cache.ts";
import type {
  PolicyClient,
  PolicyInput,
  PolicyRequest,
  PolicyToken,
  TokenHistory,
} from "./definition.ts";
import { fetchForPolicy } from "./fetch.ts";
import { pastOf } from "./history.ts";
import { scopes } from "./scope.ts";

/** What one evaluation is about. */
export type Question = {
  readonly token: Token;
  readonly inquiry: Inquiry;
  /** The route's name. */
  readonly route: string;
  /** The token's past; without it, that of a token never seen before. Called at most once. */
  readonly history?: () => Promise<History>;
  /** Answers instead of the network. */
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>;
  /** Answers instead of the environment; throws for a secret that is not set. */
  readonly secret?: (name: string) => string;
  /** What `cached()` uses instead of the policy's own. */
  readonly cache?: Cache;
  /** Set where token and request are made up by the policy's author, who may read them in errors. */
  readonly isMadeUp?: true;
};

/** One policy's input. Cheap to make: ten of them are made for a request that ten policies judge. */
export class LazyInput implements PolicyInput<TSchema, TSchema> {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly options: unknown;
  readonly #question: Question;
  readonly #policy: string;
  #request: PolicyRequest | undefined;
  #aborter: AbortController | undefined;

  /** @param policy Its name. */
  constructor(question: Question, policy: string, options: unknown) {
    this.claims = question.token.claims;
    this.options = options;
    this.#question = question;
    this.#policy = policy;
  }

  get token(): PolicyToken {
    return tokenView(this.#question.token);
  }

  get request(): PolicyRequest {
    this.#request ??= requestView(this.#question.inquiry);
    return this.#request;
  }

  get client(): PolicyClient {
    return clientView(this.#question.inquiry);
  }

  get route(): { readonly name: string } {
    return Object.freeze({ name: this.#question.route });
  }

  get now(): Date {
    return new Date(this.#question.inquiry.nowMs);
  }

  get history(): () => Promise<TokenHistory> {
    return () => pastOf(this.#question);
  }

  get secret(): (name: string) => string {
    const read = this.#question.secret ?? environmentSecret;
    return (name) => {
      const value = read(name);
      if (told.size < TOLD_LIMIT) told.add(value);
      return value;
    };
  }

  get signal(): AbortSignal {
    this.#aborter ??= new AbortController();
    return this.#aborter.signal;
  }

  get fetch(): (url: string | URL, init?: RequestInit) => Promise<Response> {
    const send = this.#question.fetch;
    const policy = this.#policy;
    const own = this.signal;
    return async (url, init = {}) => {
      // What `cached()` loads has a time of its own.
      const limit = scopes.getStore()?.load?.signal ?? own;
      const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
      if (send === undefined) return await fetchForPolicy(policy, String(url), init, signal);
      return await send(String(url), { redirect: "manual", ...init, signal });
    };
  }

  /** The time is up: ends what the policy does with `signal`. */
  static expire(input: LazyInput): void {
    input.#aborter ??= new AbortController();
    input.#aborter.abort(new DOMException("policyTimeout has passed", "TimeoutError"));
  }
}

const tokenViews = new WeakMap<Token, PolicyToken>();

/** One frozen view for each token; its dates are made at each look, as nothing can freeze a Date. */
function tokenView(token: Token): PolicyToken {
  const known = tokenViews.get(token);
  if (known !== undefined) return known;
  const { issuer, subject, audience, id, issuedAt, expiresAt, scopes } = token;
  const view: PolicyToken = {
    issuer,
    subject,
    audience: Object.freeze([...audience]),
    scopes: Object.freeze([...scopes]),
    ...(id !== undefined && { id }),
    get expiresAt() {
      return new Date(expiresAt * 1_000);
    },
  };
  if (issuedAt !== undefined) {
    Object.defineProperty(view, "issuedAt", {
      enumerable: true,
      get: () => new Date(issuedAt * 1_000),
    });
  }
  tokenViews.set(token, Object.freeze(view));
  return view;
}

function requestView(inquiry: Inquiry): PolicyRequest {
  const { method, scheme, authority, host, path, query, headers, id } = inquiry;
  let ownQuery: URLSearchParams | undefined;
  let ownHeaders: Headers | undefined;
  return Object.freeze({
    method,
    host,
    path,
    id,
    get url() {
      return `${scheme}://${authority}${path}${query}`;
    },
    get query() {
      ownQuery ??= new URLSearchParams(query);
      return ownQuery;
    },
    get headers() {
      ownHeaders ??= new Headers(headers);
      return ownHeaders;
    },
  });
}

/** Reading a device or a place costs more than most policies: it is read for those that look. */
function clientView({ client }: Inquiry): PolicyClient {
  const { ip, country } = client;
  const view = {
    ip,
    get device() {
      return Object.freeze({ ...client.device });
    },
  };
  if (country !== undefined)
    Object.defineProperty(view, "country", { value: country, enumerable: true });
  const place = () => client.location && Object.freeze({ ...client.location });
  Object.defineProperty(view, "location", { get: place, enumerable: true });
  return Object.freeze(view);
}

/** Every secret that a policy has asked for: what policies throw must not repeat them. */
const told = new Set<string>();
/** More than any gate has; an environment does not grow. */
const TOLD_LIMIT = 1_000;

export function secretsTold(): Iterable<string> {
  return told;
}

const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

function environmentSecret(name: string): string {
  if (!SECRET_NAME.test(name))
    throw new RangeError("a secret's name is that of an environment variable");
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`secret ${name} is not set`);
  return value;
}

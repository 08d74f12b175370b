/**
 * Notices when a policy looks at what the audit did not keep of a request.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import type { DecisionEntry } from "../audit/entry.ts";
import { adaptPolicies, overlay } from "../policy/adapt.ts";
import type { Leaf, Program } from "../policy/compose.ts";
import type { PolicyInput } from "../policy/definition.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { CompiledSchema } from "../policy/schema.ts";

/** What was missed in one decision. */
export type Lookout = {
  /** By something that decides. */
  note(what: string): void;
  /** By a policy under `shadow`: what it says is not to be relied on. */
  doubt(policy: string): void;
  lacking(): readonly string[];
  isUnsure(policy: string): boolean;
};

export function openLookout(): Lookout {
  const missed = new Set<string>();
  const unsure = new Set<string>();
  return {
    note: (what) => void missed.add(what),
    doubt: (policy) => void unsure.add(policy),
    lacking: () => [...missed],
    isUnsure: (policy) => unsure.has(policy),
  };
}

type Moment = { readonly entry: DecisionEntry; readonly lookout: Lookout };

/** @param at The decision that is being replayed when a policy is asked. */
export function watchedProgram(program: Program, at: () => Moment): Program {
  return adaptPolicies(program, (leaf) => watchedPolicy(leaf, at));
}

function watchedPolicy({ policy, shadow }: Leaf, at: () => Moment): LoadedPolicy {
  const eyeAt = (): Eye => {
    const { entry, lookout } = at();
    const miss = shadow ? () => lookout.doubt(policy.name) : lookout.note;
    return { entry, miss };
  };
  const { claimsSchema } = policy;
  return {
    ...policy,
    ...(claimsSchema && { claimsSchema: watchedSchema(claimsSchema, eyeAt) }),
    evaluate: (input) => policy.evaluate(watchedInput(input, eyeAt())),
  };
}

/** One policy's view of one recorded request. */
type Eye = {
  readonly entry: DecisionEntry;
  /** Told what is looked at and was not kept. */
  readonly miss: (what: string) => void;
};

function watchedSchema(schema: CompiledSchema, eyeAt: () => Eye): CompiledSchema {
  return {
    ...schema,
    check: (claims) =>
      schema.check(watchedClaims(claims as Readonly<Record<string, unknown>>, eyeAt())),
  };
}

type Input = PolicyInput<TSchema, TSchema>;

function watchedInput(input: Input, eye: Eye): Input {
  return overlay(input, {
    claims: () => watchedClaims(input.claims as Readonly<Record<string, unknown>>, eye),
    token: () => watchedToken(input, eye),
    request: () => watchedRequest(input, eye),
    history: () => async () => refuse(eye, "history()"),
    fetch: () => async () => refuse(eye, "fetch()"),
    secret: () => (name) => {
      try {
        return input.secret(name);
      } catch (error) {
        eye.miss(`secret ${name}`);
        throw error;
      }
    },
  });
}

function refuse({ miss }: Eye, what: string): never {
  miss(what);
  throw new Error(`a replay has no ${what}`);
}

/** Of every token: the names that the record tells even where no claim was kept. */
const ALWAYS_KNOWN: ReadonlySet<string> = new Set(["iss", "sub", "exp", "iat"]);

function watchedClaims(
  claims: Readonly<Record<string, unknown>>,
  { entry, miss }: Eye,
): Readonly<Record<string, unknown>> {
  /** A dotted path that was asked for as one name, and is known not to be there. */
  let gone = "";
  const look = (name: string | symbol) => {
    if (typeof name !== "string") return;
    // Who looks a path up goes on with its first part.
    const isPartOfGone = gone.startsWith(`${name}.`);
    gone = entry.claimsAbsent?.includes(name) && name.includes(".") ? name : "";
    if (!isPartOfGone && !isKnown(name, claims, entry)) miss(`claim ${name}`);
  };
  return new Proxy(claims, {
    get(target, name) {
      // `toString` and its like are everybody's.
      if (!(name in Object.prototype)) look(name);
      return Reflect.get(target, name);
    },
    has(target, name) {
      look(name);
      return Reflect.has(target, name);
    },
    getOwnPropertyDescriptor(target, name) {
      look(name);
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
    ownKeys(target) {
      miss("all claims");
      return Reflect.ownKeys(target);
    },
  });
}

function isKnown(
  name: string,
  claims: Readonly<Record<string, unknown>>,
  { claimsAbsent = [] }: DecisionEntry,
): boolean {
  if (Object.hasOwn(claims, name) || ALWAYS_KNOWN.has(name) || claimsAbsent.includes(name))
    return true;
  // `realm_access.roles` is looked for as one name first: no token has both.
  const dot = name.indexOf(".");
  return dot > 0 && Object.hasOwn(claims, name.slice(0, dot));
}

/** Where a token says it, by the claim that says so. */
const CLAIM_OF = { scopes: "scopes", audience: "aud", id: "jti" } as const;

function watchedToken(input: Input, { entry, miss }: Eye): Input["token"] {
  const claims = input.claims as Readonly<Record<string, unknown>>;
  return new Proxy(input.token, {
    get(target, name) {
      const claim = Object.hasOwn(CLAIM_OF, name)
        ? CLAIM_OF[name as keyof typeof CLAIM_OF]
        : undefined;
      if (claim !== undefined && !isKnown(claim, claims, entry)) miss(`claim ${claim}`);
      return Reflect.get(target, name, target);
    },
  });
}

function watchedRequest(input: Input, eye: Eye): Input["request"] {
  const { entry, miss } = eye;
  return overlay(input.request, {
    url: () => {
      miss("the query");
      return input.request.url;
    },
    query: () => watchedQuery(eye),
    headers: () => watchedHeaders(miss),
    id: () => entry.requestId,
  });
}

const READERS: ReadonlySet<string | symbol> = new Set(["get", "getAll", "has"]);

function watchedQuery({ entry, miss }: Eye): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(entry.query ?? {})) {
    for (const value of typeof values === "string" ? [values] : values) query.append(name, value);
  }
  return watchedMap(query, (name) => {
    if (name === undefined) miss("the query");
    else if (!query.has(name)) miss(`query ${name}`);
  });
}

function watchedHeaders(miss: (what: string) => void): Headers {
  return watchedMap(new Headers(), (name) =>
    miss(name === undefined ? "the headers" : `header ${name.toLowerCase()}`),
  );
}

/** @param look Told the name that is asked for; `undefined` where all are gone through. */
function watchedMap<T extends Headers | URLSearchParams>(
  target: T,
  look: (name: string | undefined) => void,
): T {
  return new Proxy(target, {
    get(own, member) {
      const value: unknown = Reflect.get(own, member, own);
      if (typeof value !== "function") {
        look(undefined);
        return value;
      }
      return (...args: unknown[]) => {
        look(READERS.has(member) ? String(args[0]) : undefined);
        return value.apply(own, args);
      };
    },
  });
}

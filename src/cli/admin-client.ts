/**
 * The admin API of a running gate, as commands use it. Where no gate runs they do the same with
 * the store.
 *
 * @module
 */
import { lstatSync, statSync } from "node:fs";
import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Config, ListenAddress } from "../config/resolved.ts";
import { type FaultCode, GateError } from "../errors.ts";
import { isTrustedOwner } from "../lib/owner.ts";
import { reachableSocketPath } from "../lib/socket-path.ts";

export type AdminClient = {
  /**
   * @param schema Of the answer.
   * @throws GateNotRunning, AdminProblem, GateError
   */
  ask<S extends TSchema>(schema: S, question: Question): Promise<Static<S>>;
  /** @returns The events, once the gate has begun to tell them, until it or `signal` ends. */
  follow(question: Question, signal: AbortSignal): Promise<AsyncGenerator<AdminEvent>>;
};

type Question = {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
};

type AdminEvent = { readonly event: string; readonly data: string };

/** Nobody has the socket, or the port: nothing was done. */
class GateNotRunning extends Error {
  override readonly name = "GateNotRunning";
}

/** The gate's own word for why it did not do it. */
export class AdminProblem extends GateError {
  /** @param problem Stable: `not_revoked`. */
  constructor(
    readonly problem: string,
    message: string,
    fault: FaultCode,
  ) {
    super(fault, message);
  }
}

/**
 * Does the work through the gate that runs, or with the store where none does.
 *
 * @throws Whatever either of them throws.
 */
export async function throughGate<T>(
  config: Config,
  ask: (client: AdminClient) => Promise<T>,
  directly: () => Promise<T>,
): Promise<T> {
  try {
    return await ask(openClient(config));
  } catch (fault) {
    if (!(fault instanceof GateNotRunning)) throw fault;
    return directly();
  }
}

/** A search through all of an audit takes its time. */
const ANSWER_MS = 240_000;
const LONGEST_EVENT = 16 * 1024 * 1024;

function openClient({ admin, folder }: Config): AdminClient {
  const { listen, token } = admin;

  async function send(question: Question, signal: AbortSignal): Promise<Response> {
    if (listen.kind === "unix") checkSocket(listen.path, folder);
    const { method = "GET", path, body } = question;
    const url = `${originOf(listen)}${path}${searchOf(question)}`;
    const init: BunFetchRequestInit = {
      method,
      redirect: "error",
      signal,
      headers: {
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    // Nothing in the environment may send the token elsewhere.
    const session = new Bun.FetchSession({
      proxy: false,
      ...(listen.kind === "unix" && { unix: reachableSocketPath(listen.path) }),
    });
    const response = await session.fetch(url, init).catch((cause: unknown) => {
      throw connectionFault(listen, cause);
    });
    if (!response.ok) throw await problemOf(response, listen);
    return response;
  }

  return {
    async ask(schema, question) {
      const response = await send(question, AbortSignal.timeout(ANSWER_MS));
      const value = await response.json().catch((cause: unknown) => {
        throw unfit(listen, cause);
      });
      if (!Value.Check(schema, value)) throw unfit(listen);
      return value;
    },
    async follow(question, signal) {
      const response = await send(question, signal);
      return eventsIn(response.body ?? [], listen);
    },
  };
}

async function* eventsIn(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  listen: ListenAddress,
): AsyncGenerator<AdminEvent> {
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body) {
      const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      if (rest.length > LONGEST_EVENT) throw unfit(listen);
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (event !== undefined && data !== undefined) yield { event, data };
      }
    }
  } catch (fault) {
    // Else the gate has ended, or whoever follows has.
    if (fault instanceof GateError) throw fault;
  }
}

/** In a shared folder anybody could have put one there, to be told what is to be revoked. */
function checkSocket(path: string, folder: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new GateNotRunning();
  if (found.isSocket() && isTrustedOwner(found.uid, statSync(folder).uid)) return;
  const message = `${path} is not the socket of our gate: it is no socket, or belongs to another user; remove it, or change admin.listen`;
  throw new GateError("state_unusable", message);
}

/** What Bun says when nobody listens, or the file is not ours to open. */
const NOBODY: ReadonlySet<unknown> = new Set([
  "ConnectionRefused",
  "FailedToOpenSocket",
  "ECONNREFUSED",
  "ENOENT",
  "EACCES",
]);

function connectionFault(listen: ListenAddress, cause: unknown): Error {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (NOBODY.has(code)) return new GateNotRunning();
  const message = `the gate that runs here did not answer at ${placeOf(listen)}: it may be done all the same`;
  return new GateError("store_unavailable", message, { cause });
}

async function problemOf(response: Response, listen: ListenAddress): Promise<GateError> {
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body !== "object" || body === null || !("code" in body)) return unfit(listen);
  const { code } = body;
  const title = "title" in body ? String(body.title) : "";
  const detail = "detail" in body ? String(body.detail) : title;
  if (code === "token_missing" || code === "token_invalid" || code === "rate_limited") {
    const message = `the gate at ${placeOf(listen)} does not take admin.token of this configuration (${title.toLowerCase()})`;
    return new AdminProblem(code, message, "state_unusable");
  }
  return new AdminProblem(String(code), detail, FAULTS[String(code)] ?? "internal_fault");
}

const FAULTS: Readonly<Record<string, FaultCode>> = {
  request_malformed: "usage_wrong",
  not_revoked: "usage_wrong",
  revocations_full: "revocations_full",
  store_unavailable: "store_unavailable",
  store_damaged: "store_damaged",
};

function unfit(listen: ListenAddress, cause?: unknown): GateError {
  const message = `what answers at ${placeOf(listen)} is not the admin API of this version of claimgate`;
  return new GateError("state_unusable", message, { cause });
}

function placeOf(listen: ListenAddress): string {
  return listen.kind === "unix" ? listen.path : originOf(listen);
}

/** Of a wildcard address, the loopback one of its kind: the gate is on this machine. */
function originOf(listen: ListenAddress): string {
  if (listen.kind === "unix") return "http://localhost";
  const { hostname, port } = listen;
  if (hostname === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (hostname === "::") return `http://[::1]:${port}`;
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function searchOf({ query = {} }: Question): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

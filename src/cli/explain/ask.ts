/**
 * Brings a request that nobody made before the gate's own rules: from its arrival to the
 * upstream's door, and nothing is sent, counted or recorded.
 *
 * @module
 */
import { GateError } from "../../errors.ts";
import type { Assembly } from "../../gate/assemble.ts";
import { type Decision, decide } from "../../gate/decide.ts";
import { type ReadInquiry, readInquiry } from "../../gate/inquire.ts";
import { matchRoute } from "../../gate/match.ts";
import { type Outbound, outboundRequest } from "../../gate/outbound.ts";
import { RESERVED_PREFIX } from "../../gate/reserved.ts";
import type { Route, Rules } from "../../gate/site.ts";
import { err, type Result } from "../../result.ts";
import type { Denial, Device, Inquiry } from "../../types.ts";
import { type MadeUpRequest, withCredential } from "./request.ts";

/** Stands where a token would be that claims alone describe. */
export const STAND_IN = "claims";

export type Asked = {
  readonly inquiry?: Inquiry;
  readonly decision?: Decision;
  readonly result: Result<Outbound, Denial>;
};

/**
 * Claims stand for a bearer token and for a session alike: a route that takes sessions alone
 * gets a place where claims can be put.
 */
export function withPlaceForClaims(assembly: Assembly): Assembly {
  const routes = assembly.config.routes.map((route) => {
    const takesTokens = route.public || route.credentials.some(({ kind }) => kind !== "session");
    return takesTokens ? route : { ...route, credentials: [{ kind: "authorization" } as const] };
  });
  return { ...assembly, config: { ...assembly.config, routes } };
}

/** The route that would answer, as far as the request can be read. */
export function routeFor(rules: Rules, request: MadeUpRequest): Route | undefined {
  const read = readArrival(rules, request);
  if (!read.ok) return undefined;
  const { host, path, method } = read.value.inquiry;
  const matched = matchRoute(rules.table, host, path, method);
  return matched.ok ? matched.value : undefined;
}

/** Where the route looks first; a public route looks nowhere, and gets what clients send anyway. */
export function placeCredential(
  rules: Rules,
  request: MadeUpRequest,
  credential: string | undefined,
): MadeUpRequest {
  if (credential === undefined) return request;
  const config = routeFor(rules, request)?.config;
  if (config?.public && credential === STAND_IN) return request;
  const place = config?.credentials.find(({ kind }) => kind !== "session");
  return withCredential(request, place ?? { kind: "authorization" }, credential);
}

/**
 * The request's way from arrival to the upstream's door.
 *
 * @param device What the client comes with, where its headers do not tell.
 * @throws GateError `usage_wrong` for a path of the gate's own.
 */
export async function ask(
  rules: Rules,
  request: MadeUpRequest,
  device?: Partial<Device>,
): Promise<Asked> {
  const read = readArrival(rules, request);
  if (!read.ok) return { result: read };
  const { ambiguousPath } = read.value;
  const inquiry = withDevice(read.value.inquiry, device);
  if (inquiry.path.startsWith(RESERVED_PREFIX)) {
    const message = `paths under ${RESERVED_PREFIX} are the gate's own: no route and no policy decides there`;
    throw new GateError("usage_wrong", message);
  }
  const decision = await decide(rules, inquiry, ambiguousPath);
  const { route, result } = decision;
  if (!result.ok || route === undefined) {
    return { inquiry, decision, result: result.ok ? err(FAULT) : result };
  }
  return { inquiry, decision, result: outboundRequest(route, read.value, result.value) };
}

const FAULT: Denial = { status: 500, code: "internal_fault" };

function readArrival(rules: Rules, request: MadeUpRequest): Result<ReadInquiry, Denial> {
  const { address, scheme, nowMs } = request;
  const connection = { address, scheme, trustedOnly: false };
  return readInquiry(request, connection, rules.surroundings, Bun.randomUUIDv7(), nowMs);
}

function withDevice(inquiry: Inquiry, device: Partial<Device> | undefined): Inquiry {
  if (device === undefined) return inquiry;
  const { ip, country, location, device: told } = inquiry.client;
  return { ...inquiry, client: { ip, country, location, device: { ...told, ...device } } };
}

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DEVELOPMENT_ISSUER } from "../../src/lib/development.ts";
import { openStreamGate, type StreamGate, until } from "./stream-gate.ts";

const HOUR_MS = 3_600_000;
const STAFF = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets staff pass, before noon",
  claims: Type.Object({ role: Type.String() }),
  evaluate({ claims, now }) {
    if (claims.role !== "staff") return deny("role_missing");
    return now.getUTCHours() < 12 ? allow() : deny("too_late", "come tomorrow", { revoke: "subject" });
  },
});
`;
const routesOf = (upstream: string) => [
  { name: "any", match: { path: "/any/*" }, upstream, anyAuthenticated: true },
  {
    name: "staff",
    match: { path: "/staff/*" },
    upstream,
    policies: ["staff"],
    streams: { recheck: "1s", graceOnExpiry: "4h" },
  },
  { name: "open", match: { path: "/open/*" }, upstream, public: true },
];

let kit: StreamGate;
beforeEach(async () => {
  kit = await openStreamGate(routesOf, { "policies/staff.ts": STAFF });
});
afterEach(async () => kit[Symbol.asyncDispose]());

const configOf = (routes: readonly object[], issuers?: readonly object[]) => ({
  "claimgate.yaml": {
    listen: "127.0.0.1:0",
    issuers: issuers ?? [{ name: "dev", development: true }],
    routes,
  },
});

const began = (...names: string[]) =>
  until(`the answers ${names}`, () => names.every((name) => kit.upstream.began.includes(name)));

const revoke = (subject: string) =>
  kit.gate.ledger.revocations.revoke({
    kind: "subject",
    issuer: DEVELOPMENT_ISSUER,
    value: subject,
    reason: "lost",
    author: "test",
    atMs: kit.clock.nowMs,
    untilMs: kit.clock.nowMs + HOUR_MS,
  });

/** What was closed, and why, as the audit has it. */
const closures = () =>
  kit.entries.flatMap((entry) =>
    entry.kind === "act" && entry.act === "close_stream" ? [entry] : [],
  );

describe("a token that is revoked", () => {
  test("loses its WebSocket, with 1008 on both sides; others keep theirs", async () => {
    const [alice, bob] = [await kit.token("alice"), await kit.token("bob")];
    const lost = await kit.socket("/any/live", alice);
    const kept = await kit.socket("/any/live", bob);
    expect(await lost.echo("hello")).toBe("hello");
    await revoke("alice");
    expect(await lost.closed).toEqual({ code: 1008, reason: "The token has been revoked" });
    await until("the upstream's close", () => kit.upstream.socketCodes.length > 0);
    expect(kit.upstream.socketCodes).toEqual([1008]);
    expect(await kept.echo("still here")).toBe("still here");
  });

  test("loses its event stream cleanly, and is cut off what must not pass for whole", async () => {
    const alice = await kit.token("alice");
    const [events, lines] = [kit.answer("/any/events", alice), kit.answer("/any/lines", alice)];
    const other = await kit.socket("/any/live", await kit.token("bob"));
    await began("events", "lines");
    await revoke("alice");
    expect(await Promise.all([events, lines])).toEqual(["answered", "closed"]);
    await until("the upstream's own end", () => kit.upstream.gone.length === 2);
    expect(await other.echo("still here")).toBe("still here");
  });

  test("is told of in the log and in the audit, once for each stream", async () => {
    const socket = await kit.socket("/any/live", await kit.token("alice"));
    await revoke("alice");
    await socket.closed;
    const decision = kit.entries.find((entry) => entry.kind === "decision");
    const requestId = decision?.kind === "decision" ? decision.requestId : "";
    expect(closures()).toEqual([
      {
        kind: "act",
        at: "2026-01-05T10:00:00.000Z",
        actor: "gate",
        act: "close_stream",
        target: requestId,
        reason: "token_revoked",
      },
    ]);
    expect(kit.log.filter(({ event }) => event === "stream_closed")).toMatchObject([
      { level: "info", requestId, route: "any", code: "token_revoked", reason: "subject_revoked" },
    ]);
  });
});

describe("a token that expires", () => {
  test("loses its streams", async () => {
    const alice = await kit.token("alice");
    const socket = await kit.socket("/any/live", alice);
    const events = kit.answer("/any/events", alice);
    await began("events");
    kit.clock.nowMs += HOUR_MS;
    expect(await socket.closed).toEqual({ code: 1008, reason: "The token has expired" });
    expect(await events).toBe("answered");
    expect(closures().map(({ reason }) => reason)).toEqual(["token_expired", "token_expired"]);
  });

  test("and is used again within the tolerance for clocks has all of that", async () => {
    const alice = await kit.token("alice");
    kit.clock.nowMs += HOUR_MS + 10_000;
    const late = await kit.socket("/any/live", alice);
    kit.clock.nowMs += 15_000;
    const first = await kit.socket("/any/live", await kit.token("bob"));
    await revoke("bob");
    await first.closed;
    expect(await late.echo("still here")).toBe("still here");
    kit.clock.nowMs += 5_000;
    expect(await late.closed).toEqual({ code: 1008, reason: "The token has expired" });
  });

  test("is outlived by the route's grace, and no longer", async () => {
    const alice = await kit.token("alice", { role: "staff" });
    const short = await kit.socket("/any/live", alice);
    const graced = await kit.socket("/staff/live", alice);
    kit.clock.nowMs += HOUR_MS;
    await short.closed;
    expect(await graced.echo("still here")).toBe("still here");
    kit.clock.nowMs += 4 * HOUR_MS;
    expect((await graced.closed).reason).toBe("The token has expired");
  });

  test("is asked about again within the grace, and may be revoked", async () => {
    const [alice, bob] = [
      await kit.token("alice", { role: "staff" }),
      await kit.token("bob", { role: "staff" }),
    ];
    const denied = await kit.socket("/staff/live", alice);
    const revoked = await kit.socket("/staff/live", bob);
    kit.clock.nowMs += HOUR_MS;
    await revoke("bob");
    expect((await revoked.closed).reason).toBe("The token has been revoked");
    expect(await denied.echo("still here")).toBe("still here");
    kit.clock.nowMs += HOUR_MS;
    expect(await denied.closed).toEqual({ code: 1008, reason: "Access is denied" });
  });
});

describe("policies are asked again", () => {
  test("as often as the route says; what they want revoked is", async () => {
    const socket = await kit.socket("/staff/live", await kit.token("alice", { role: "staff" }));
    kit.clock.nowMs = Date.UTC(2026, 0, 5, 12);
    const other = await kit.socket("/any/live", await kit.token("alice"));
    expect((await socket.closed).reason).toBe("Access is denied");
    expect((await other.closed).reason).toBe("The token has been revoked");
    const acts = kit.entries.flatMap((entry) => (entry.kind === "act" ? [entry] : []));
    expect(acts.find(({ act }) => act === "revoke")).toMatchObject({
      actor: "policy staff",
      reason: "too_late",
    });
    expect(kit.log.filter(({ code }) => code === "policy_denied")).toMatchObject([
      { event: "stream_closed", route: "staff", policy: "staff", reason: "too_late" },
    ]);
  });
});

describe("a reload", () => {
  const live = async () => kit.socket("/any/live", await kit.token("alice"));

  test("closes what its policies no longer allow, long before the next time they are due", async () => {
    const policies = [{ "require-roles": { anyOf: ["admin"] } }];
    const routes = [{ name: "any", upstream: kit.upstream.origin, policies }];
    const socket = await live();
    expect(await kit.reload(configOf(routes))).toBe(true);
    expect(await socket.closed).toEqual({ code: 1008, reason: "Access is denied" });
    expect(closures()).toMatchObject([{ reason: "policy_denied" }]);
  });

  test("closes what is no route any more", async () => {
    const routes = [{ name: "else", match: { path: "/else" }, upstream: "echo", public: true }];
    const socket = await live();
    expect(await kit.reload(configOf(routes))).toBe(true);
    expect(await socket.closed).toEqual({ code: 1008, reason: "Nothing is served here" });
    expect(closures()).toMatchObject([{ reason: "route_not_found" }]);
  });

  test("closes what has come under another route", async () => {
    const routes = [{ name: "else", upstream: "echo", anyAuthenticated: true }];
    const socket = await live();
    expect(await kit.reload(configOf(routes))).toBe(true);
    expect((await socket.closed).reason).toBe("Nothing is served here");
  });

  test("closes what has a token of an issuer that is trusted no more", async () => {
    const issuers = [{ name: "dev", issuer: "urn:other", audiences: ["dev"], development: true }];
    const socket = await live();
    expect(await kit.reload(configOf(routesOf(kit.upstream.origin), issuers))).toBe(true);
    expect(await socket.closed).toEqual({ code: 1008, reason: "The token is not valid here" });
    expect(closures()).toMatchObject([{ reason: "token_invalid" }]);
  });

  test("leaves alone what may go on, and what needs no token any more", async () => {
    const kept = await live();
    const opened = await kit.socket("/staff/live", await kit.token("bob", { role: "staff" }));
    const { origin } = kit.upstream;
    const [any] = routesOf(origin);
    const routes = [{ name: "staff", match: { path: "/staff/*" }, upstream: origin, public: true }];
    expect(await kit.reload(configOf([...routes, any ?? {}]))).toBe(true);
    const gone = await kit.socket("/any/live", await kit.token("carol"));
    await revoke("carol");
    await gone.closed;
    expect(await kept.echo("still here")).toBe("still here");
    // The site has been noticed by now: neither expiry nor revocation means anything to it.
    kit.clock.nowMs += 6 * HOUR_MS;
    await kept.closed;
    expect(await opened.echo("still here")).toBe("still here");
  });
});

describe("nothing is closed", () => {
  test("that has ended by itself, or with its client", async () => {
    const alice = await kit.token("alice");
    expect(await kit.answer("/any/short", alice)).toBe("answered");
    const ended = await kit.socket("/any/live", alice);
    ended.close();
    await ended.closed;
    const leaving = new AbortController();
    const response = await fetch(`${kit.url}/any/events`, {
      headers: { Authorization: `Bearer ${alice}` },
      signal: leaving.signal,
    });
    await response.body?.getReader().read();
    leaving.abort();
    await until("the upstream's own end", () => kit.upstream.gone.includes("events"));
    const open = await kit.socket("/any/live", alice);
    await revoke("alice");
    await open.closed;
    expect(closures()).toHaveLength(1);
  });

  test("that nobody needs a token for", async () => {
    const alice = await kit.token("alice");
    const open = await kit.socket("/open/live", alice);
    const guarded = await kit.socket("/any/live", alice);
    await revoke("alice");
    await guarded.closed;
    expect(await open.echo("still here")).toBe("still here");
  });
});

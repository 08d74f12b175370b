/** Issuers that fail, lie or are flooded: what may become keys, how often they are asked. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  NOW,
  openAttackGate,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { type ForgeKey, forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");
const nextKey = makeKey("P-256");
const KEY_SET = { keys: [{ ...key.jwk, kid: "one" }] };

/** A key set of so many keys, the real one last. */
function keySetOf(count: number): object {
  const others = Array.from({ length: count - 1 }, (_, at) => ({ ...key.jwk, kid: `k${at}` }));
  return { keys: [...others, ...KEY_SET.keys] };
}

/** A good key set with so many spaces before it. */
const padded = (bytes: number) => " ".repeat(bytes) + JSON.stringify(KEY_SET);
const KB = 1024;

let givenUp = 0;

/** Bytes that keep coming, slowly and never to an end. */
function endless(_: string, { signal }: Request): Response {
  let timer: Timer;
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    givenUp++;
  });
  const stream = new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 50);
    },
  });
  return new Response(stream);
}

type Answer = (origin: string, request: Request) => Response;

/** Key sets that must never be taken, by the issuer's name. */
const REFUSED: Readonly<Record<string, Answer>> = {
  oversize: () => new Response(padded(KB * KB + 1)),
  "oversize-chunked": () =>
    new Response(new Blob([padded(3 * KB * KB)]).stream(), {
      headers: { "Content-Type": "application/json" },
    }),
  "oversize-zipped": () =>
    new Response(gzipSync(padded(60 * KB * KB)), { headers: { "Content-Encoding": "gzip" } }),
  "too-many": () => Response.json(keySetOf(101)),
  endless,
  moved: (origin) => Response.redirect(`${origin}/trap`, 301),
  found: (origin) => Response.redirect(`${origin}/trap`, 302),
  temporary: (origin) => Response.redirect(`${origin}/trap`, 307),
  "status-500": () => Response.json(KEY_SET, { status: 500 }),
  "status-404": () => Response.json(KEY_SET, { status: 404 }),
  html: () => new Response("<html>sign in</html>", { headers: { "Content-Type": "text/html" } }),
  "cut-short": () => new Response(JSON.stringify(KEY_SET).slice(0, -2)),
  nothing: () => new Response(""),
  null: () => new Response("null"),
  list: () => Response.json(KEY_SET.keys),
  "object-of-keys": () => Response.json({ keys: { 0: KEY_SET.keys[0], length: 1 } }),
  "no-keys": () => Response.json({ keys: [] }),
  "keys-null": () => Response.json({ keys: null }),
};

/** Discovery documents that must never be followed. */
const MISLED: Readonly<Record<string, (origin: string, folder: string) => object>> = {
  "other-issuer": (origin) => ({ issuer: "https://evil.test", jwks_uri: `${origin}/trap` }),
  "no-issuer": (origin) => ({ jwks_uri: `${origin}/trap` }),
  "issuer-with-slash": (origin) => ({
    issuer: `${origin}/issuer-with-slash/`,
    jwks_uri: `${origin}/trap`,
  }),
  "issuer-list": (origin) => ({ issuer: [`${origin}/issuer-list`], jwks_uri: `${origin}/trap` }),
  "no-address": (origin) => ({ issuer: `${origin}/no-address` }),
  "data-address": (origin) => ({
    issuer: `${origin}/data-address`,
    jwks_uri: `data:application/json,${encodeURIComponent(JSON.stringify(KEY_SET))}`,
  }),
  "file-address": (origin, folder) => ({
    issuer: `${origin}/file-address`,
    jwks_uri: `file://${folder}/keys.json`,
  }),
  "relative-address": (origin) => ({ issuer: `${origin}/relative-address`, jwks_uri: "/trap" }),
  "user-address": (origin) => ({
    issuer: `${origin}/user-address`,
    jwks_uri: ["trap", `${origin}/trap`],
  }),
};

const HELD: Readonly<Record<string, Answer>> = {
  plain: () => Response.json(KEY_SET),
  "nearly-too-large": () => new Response(padded(900 * KB)),
  "a-hundred": () => Response.json(keySetOf(100)),
  "good-among-bad": () =>
    Response.json({
      keys: [{ kty: "oct", k: "AAAA", kid: "one" }, { kty: "unheard-of" }, ...KEY_SET.keys],
    }),
};

let upstream: RecordingUpstream;
/** Takes a connection and cuts it at the first byte. */
let cutter: Bun.TCPSocketListener<undefined>;
let issuer: Bun.Server<undefined>;
let gate: AttackGate;
let trapped = 0;
const fetches = new Map<string, number>();
/** What the issuer `turning` answers, for the tests to change. */
let turning: () => Response = () => Response.json(KEY_SET);

beforeAll(async () => {
  upstream = recordingUpstream();
  let folder = "";
  issuer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      if (pathname === "/trap") {
        trapped++;
        return Response.json(KEY_SET);
      }
      const name =
        pathname
          .split("/")
          .find(
            (part) =>
              part !== "" &&
              !part.startsWith(".well-known") &&
              part !== "openid-configuration" &&
              part !== "oauth-authorization-server",
          ) ?? "";
      fetches.set(name, (fetches.get(name) ?? 0) + 1);
      const misled = MISLED[name]?.(origin, folder);
      if (misled !== undefined) return Response.json(misled);
      if (name === "turning") return turning();
      return (
        (REFUSED[name] ?? HELD[name])?.(origin, request) ?? new Response(null, { status: 404 })
      );
    },
  });
  cutter = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        fetches.set("reset", (fetches.get("reset") ?? 0) + 1);
        socket.terminate();
      },
    },
  });
  const { origin } = issuer.url;
  const byAddress = [...Object.keys(REFUSED), ...Object.keys(HELD), "turning"];
  const byDiscovery = Object.keys(MISLED);
  const keySetFile = { "keys.json": JSON.stringify(KEY_SET) };
  const issuers = [
    ...byAddress.map((name) => ({
      name,
      issuer: `https://${name}.test`,
      jwksUri: `${origin}/${name}`,
    })),
    { name: "reset", issuer: "https://reset.test", jwksUri: `http://127.0.0.1:${cutter.port}/` },
    ...byDiscovery.map((name) => ({ name, issuer: `${origin}/${name}` })),
  ].map((one) => ({ ...one, audiences: ["api"] }));
  const routes = issuers.map(({ name }) => ({
    name,
    match: { path: `/${name}/*` },
    upstream: upstream.origin,
    issuers: [name],
    anyAuthenticated: true,
  }));
  gate = await openAttackGate({ issuers, routes }, keySetFile);
  folder = gate.folder;
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await issuer.stop(true);
  cutter.stop(true);
  await upstream[Symbol.asyncDispose]();
});

type Minting = { readonly kid?: string; readonly by?: ForgeKey; readonly more?: object };

function tokenOf(name: string, { kid = "one", by = key, more = {} }: Minting = {}): string {
  const iss = name in MISLED ? `${issuer.url.origin}/${name}` : `https://${name}.test`;
  const claims = { iss, aud: "api", sub: "alice", exp: NOW + 20 * 3600, ...more };
  return forge({ alg: "ES256", kid }, claims, by, "ES256");
}

function send(name: string, token: string) {
  return shoot(gate, { target: `/${name}/x`, lines: [bearer(token)] });
}

describe("key sets that hold", () => {
  test.each(Object.keys(HELD))("%s", async (name) => {
    await untilStatus(200, () => send(name, tokenOf(name)));
  });
});

describe("keys that are kept", () => {
  test("lie beside the configuration, for nobody else's eyes", async () => {
    const file = join(gate.folder, ".claimgate/keys-plain.json");
    for (let tries = 0; !existsSync(file); tries++) {
      if (tries === 500) throw new Error("no keys were kept");
      await Bun.sleep(10);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(gate.folder, ".claimgate")).mode & 0o777).toBe(0o700);
    expect(JSON.stringify(await Bun.file(file).json())).not.toContain('"d"');
  });
});

describe("key sets that do not", () => {
  const quick = Object.keys(REFUSED).filter((name) => name !== "endless");
  test.each([...quick, ...Object.keys(MISLED)])("%s", async (name) => {
    await untilFetched(name);
    const before = upstream.seen.length;
    for (let tries = 0; tries < 3; tries++) {
      expectDenied(gate, await send(name, tokenOf(name)), 503, "keys_unavailable");
    }
    expect(upstream.seen.length).toBe(before);
  });

  test("none was led away", () => {
    expect(trapped).toBe(0);
  });

  test("one that never ends is given up", async () => {
    for (let tries = 0; givenUp === 0; tries++) {
      if (tries === 900) throw new Error("the gate still reads");
      await Bun.sleep(10);
    }
    const shot = { target: "/endless/x", lines: [bearer(tokenOf("endless"))] };
    const answer = await shoot(gate, shot, { limitMs: 8_000 });
    expectDenied(gate, answer, 503, "keys_unavailable");
  }, 20_000);

  test("one that hangs up", async () => {
    await untilFetched("reset");
    expectDenied(gate, await send("reset", tokenOf("reset")), 503, "keys_unavailable");
  });

  test("readiness is not touched, and tells no address", async () => {
    const { status, body } = await shoot(gate, { target: "/.claimgate/ready" });
    expect(status).toBe(200);
    expect(body).not.toContain(issuer.url.host);
    expect(body).not.toContain(gate.folder);
  });
});

async function untilFetched(name: string): Promise<void> {
  for (let tries = 0; (fetches.get(name) ?? 0) === 0; tries++) {
    if (tries === 500) throw new Error(`the keys of ${name} were never asked for`);
    await Bun.sleep(10);
  }
}

/** The order counts: each test leaves the issuer `turning` to the next. */
describe("an issuer through floods, rotation and outage", () => {
  const COOLDOWN_MS = 10_000;
  const asked = () => fetches.get("turning") ?? 0;

  /** @returns The fetches that so many tokens of kids that nobody knows caused. */
  async function flood(count: number): Promise<number> {
    const before = asked();
    const shots = Array.from({ length: count }, (_, at) =>
      send("turning", tokenOf("turning", { kid: `unknown-${at}-${crypto.randomUUID()}` })),
    );
    for (const answer of await Promise.all(shots)) {
      expectDenied(gate, answer, 401, "token_invalid");
    }
    return asked() - before;
  }

  test("kids that nobody knows cause one fetch within the cooldown", async () => {
    await untilStatus(200, () => send("turning", tokenOf("turning")));
    gate.clock.nowMs += COOLDOWN_MS + 1000;
    const before = upstream.seen.length;
    expect((await flood(150)) + (await flood(150))).toBeLessThanOrEqual(1);
    expect(upstream.seen.length).toBe(before);
    gate.clock.nowMs += COOLDOWN_MS + 1000;
    expect(await flood(50)).toBeLessThanOrEqual(1);
  });

  test("and take no good key away while the issuer fails", async () => {
    turning = () => new Response("down", { status: 500 });
    for (let round = 0; round < 3; round++) {
      gate.clock.nowMs += COOLDOWN_MS + 1000;
      expect(await flood(50)).toBeLessThanOrEqual(1);
      const fresh = tokenOf("turning", { more: { jti: `flooded-${round}` } });
      expect((await send("turning", fresh)).status).toBe(200);
    }
  });

  test("nor while it answers with no keys at all", async () => {
    turning = () => Response.json({ keys: [] });
    gate.clock.nowMs += COOLDOWN_MS + 1000;
    await flood(10);
    const fresh = tokenOf("turning", { more: { jti: "no-keys" } });
    expect((await send("turning", fresh)).status).toBe(200);
  });

  test("an issuer that nobody configured is never asked", async () => {
    const before = [...fetches.values()].reduce((sum, count) => sum + count, 0);
    const claims = { iss: `${issuer.url.origin}/trap`, aud: "api", sub: "a", exp: NOW + 900 };
    const token = forge({ alg: "ES256", kid: "one" }, claims, key, "ES256");
    expectDenied(gate, await send("turning", token), 401, "token_invalid");
    expect([...fetches.values()].reduce((sum, count) => sum + count, 0)).toBe(before);
    expect(trapped).toBe(0);
  });

  test("a rotated key is taken, and the one that went is refused, cached or not", async () => {
    const cached = tokenOf("turning", { more: { jti: "cached" } });
    expect((await send("turning", cached)).status).toBe(200);
    expect((await send("turning", cached)).status).toBe(200);
    turning = () => Response.json({ keys: [{ ...nextKey.jwk, kid: "two" }] });
    gate.clock.nowMs += COOLDOWN_MS + 1000;
    const next = tokenOf("turning", { kid: "two", by: nextKey });
    await untilStatus(200, () => send("turning", next));
    expectDenied(gate, await send("turning", cached), 401, "token_invalid");
    const fresh = tokenOf("turning", { more: { jti: "old-key" } });
    expectDenied(gate, await send("turning", fresh), 401, "token_invalid");
  });

  test("a token that came before its key passes as soon as the key is there", async () => {
    const [first, second, third] = [1, 2, 3].map(() => tokenOf("turning", { kid: "three" }));
    const ask = (token = "") => send("turning", token);
    gate.clock.nowMs += COOLDOWN_MS + 1000;
    expectDenied(gate, await ask(first), 401, "token_invalid");
    gate.clock.nowMs += COOLDOWN_MS / 2;
    expectDenied(gate, await ask(second), 401, "token_invalid");
    const both = [
      { ...nextKey.jwk, kid: "two" },
      { ...key.jwk, kid: "three" },
    ];
    turning = () => Response.json({ keys: both });
    gate.clock.nowMs += COOLDOWN_MS / 2 + 500;
    expect((await ask(third)).status).toBe(200);
    expect((await ask(second)).status).toBe(200);
    expect((await ask(first)).status).toBe(200);
  });

  test("the last good keys serve through an outage, for a while", async () => {
    turning = () => new Response("down", { status: 503 });
    const next = (jti: string) => tokenOf("turning", { kid: "two", by: nextKey, more: { jti } });
    const cached = next("before");
    expect((await send("turning", cached)).status).toBe(200);
    gate.clock.nowMs += 30 * 60_000;
    expect((await send("turning", cached)).status).toBe(200);
    expect((await send("turning", next("within"))).status).toBe(200);
    gate.clock.nowMs += 2 * 3600_000;
    const before = upstream.seen.length;
    await untilStatus(503, () => send("turning", next("beyond")));
    expectDenied(gate, await send("turning", next("beyond too")), 503, "keys_unavailable");
    expectDenied(gate, await send("turning", cached), 503, "keys_unavailable");
    expect(upstream.seen.length).toBe(before);
  });

  test("and it heals without a restart", async () => {
    turning = () => Response.json({ keys: [{ ...nextKey.jwk, kid: "two" }] });
    const next = tokenOf("turning", { kid: "two", by: nextKey, more: { jti: "healed" } });
    await untilStatus(200, () => {
      gate.clock.nowMs += COOLDOWN_MS + 1000;
      return send("turning", next);
    });
  });
});

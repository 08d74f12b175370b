import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { freePort } from "../support/free-port.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, type RunningServe, serve, until } from "./claimgate.ts";

const ROOT = join(import.meta.dir, "../..");
const TEST_LIMIT_MS = 60_000;
const HEADER = "X-Claimgate-Assertion";

type Server = AsyncDisposable & { readonly url: string };

/** The server of docs/assertion.md, as its reader would run it. */
async function startDocumented(folder: TempFolder, gate: string): Promise<Server> {
  const text = await Bun.file(join(ROOT, "docs/assertion.md")).text();
  const snippet = /```js\n([\s\S]*?)```/.exec(text)?.[1];
  if (snippet === undefined) throw new Error("docs/assertion.md has no snippet for Node");
  const file = await folder.write("app/server.mjs", snippet);
  await symlink(join(ROOT, "node_modules"), join(folder.path, "app/node_modules"));
  const port = freePort();
  const child = Bun.spawn([Bun.which("node") ?? process.execPath, file], {
    env: { ...process.env, GATE: gate, PORT: String(port) },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const url = `http://127.0.0.1:${port}`;
  await until("the documented server", 10_000, () =>
    fetch(url).then(
      ({ status }) => status === 401,
      () => false,
    ),
  );
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

describe("with assertions", () => {
  let upstream: RecordingUpstream;
  let sockets: Bun.Server<{ assertion: string | null }>;
  let folder: TempFolder;
  let gate: RunningServe;
  let documented: Server;
  let token: string;
  let origin: string;

  const start = () => serve([], { folder: folder.path });
  const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(origin + path, { headers: { Authorization: `Bearer ${token}`, ...headers } });
  const seenAssertion = () => upstream.seen.at(-1)?.headers.get(HEADER) ?? "";
  const check = (jwt: string, audience: string) => {
    const keys = createRemoteJWKSet(new URL("/.claimgate/jwks.json", origin));
    return jwtVerify(jwt, keys, { issuer: origin, audience, algorithms: ["ES256"] });
  };

  beforeAll(async () => {
    const port = freePort();
    origin = `http://127.0.0.1:${port}`;
    upstream = recordingUpstream();
    sockets = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request, server) {
        const data = { assertion: request.headers.get(HEADER) };
        return server.upgrade(request, { data }) ? undefined : new Response("", { status: 400 });
      },
      websocket: {
        data: { assertion: null } as { assertion: string | null },
        open: (socket) => void socket.send(socket.data.assertion ?? "none"),
        message: () => undefined,
      },
    });
    folder = await tempFolder();
    documented = await startDocumented(folder, origin);
    const route = (path: string, to: string, more: string) =>
      `  - { match: { path: ${path} }, upstream: "${to}", ${more} }`;
    const assertion = (audience: string, lifetime = "60s") =>
      `anyAuthenticated: true, assertion: { header: ${HEADER}, audience: ${audience}, lifetime: ${lifetime}, claims: [sub, roles] }`;
    await folder.write(
      "claimgate.yaml",
      `listen: 127.0.0.1:${port}
trustedProxies: [127.0.0.1]
issuers: [{ name: dev, development: true }]
routes:
${route("/orders/*", upstream.origin, assertion("orders"))}
${route("/brief/*", upstream.origin, assertion("brief", "2s"))}
${route("/documented/*", documented.url, assertion("orders"))}
${route("/other-audience/*", documented.url, assertion("billing"))}
${route("/socket", sockets.url.origin, assertion("socket"))}
${route("/without/*", upstream.origin, "anyAuthenticated: true")}
${route("/public/*", upstream.origin, "public: true")}
`,
    );
    gate = await start();
    const args = ["--sub", "alice", "--claim", "roles=staff,admin", "--claim", "level:=3"];
    token = await developmentToken(folder.path, ...args, "--ttl", "5m");
  }, TEST_LIMIT_MS);

  afterAll(async () => {
    await gate?.[Symbol.asyncDispose]();
    await documented?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await sockets?.stop(true);
    await folder?.[Symbol.asyncDispose]();
  });

  test("the server of the documentation believes the gate, and nobody else", async () => {
    const answer = await ask("/documented/");
    expect([answer.status, await answer.text()]).toEqual([
      200,
      "hello alice, with roles staff,admin",
    ]);
    expect((await ask("/other-audience/")).status).toBe(401);
    expect((await fetch(documented.url)).status).toBe(401);
    await ask("/orders/");
    const genuine = seenAssertion();
    expect((await fetch(documented.url, { headers: { [HEADER]: genuine } })).status).toBe(200);
    const forged = `${genuine.slice(0, -4)}AAAA`;
    expect((await fetch(documented.url, { headers: { [HEADER]: forged } })).status).toBe(401);
  });

  test("an upstream gets who it is, and the same one while it is good", async () => {
    await ask("/orders/1");
    const first = seenAssertion();
    const { payload } = await check(first, "orders");
    expect(payload).toEqual({
      iss: origin,
      aud: "orders",
      sub: "alice",
      idp: "urn:claimgate:development",
      roles: ["staff", "admin"],
      iat: expect.any(Number),
      exp: Number(payload.iat) + 60,
    });
    await ask("/orders/2");
    expect(seenAssertion()).toBe(first);
  });

  test("one that is half over is made anew", async () => {
    await ask("/brief/");
    const first = seenAssertion();
    await until("another assertion", 5_000, async () => {
      await ask("/brief/");
      return seenAssertion() !== first;
    });
    await check(seenAssertion(), "brief");
  });

  test.each(["/orders/", "/without/", "/public/"])(
    "what a client puts in its place does not pass: %s",
    async (path) => {
      await ask(path, {
        [HEADER]: "forged",
        X_Claimgate_Assertion: "forged",
        "x-claimgate.assertion": "forged",
      });
      const { headers } = upstream.seen.at(-1) ?? {};
      expect(JSON.stringify([...(headers ?? [])])).not.toContain("forged");
      expect(headers?.has(HEADER)).toBe(path === "/orders/");
    },
  );

  test("a WebSocket's upgrade has it, too", async () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = new WebSocket(`${origin.replace("http", "ws")}/socket`, {
      headers: { Authorization: `Bearer ${token}`, [HEADER]: "forged" },
    });
    socket.onmessage = ({ data }) => resolve(String(data));
    socket.onerror = () => reject(new Error("no WebSocket"));
    expect((await check(await promise, "socket")).payload.sub).toBe("alice");
    socket.close();
  });

  test("another proxy that asks (forward-auth) is given it", async () => {
    const answer = await ask("/.claimgate/verify", {
      "X-Forwarded-Method": "GET",
      "X-Forwarded-Proto": "http",
      "X-Forwarded-Host": "app.example",
      "X-Forwarded-Uri": "/orders/1",
    });
    expect(answer.status).toBe(200);
    expect((await check(answer.headers.get(HEADER) ?? "", "orders")).payload.sub).toBe("alice");
  });

  test("the keys are public halves, for a while, under every host", async () => {
    const url = `${origin}/.claimgate/jwks.json`;
    const answer = await fetch(url, { headers: { Host: "anything.example" } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("public, max-age=300");
    expect(answer.headers.get("content-type")).toContain("application/json");
    const { keys } = (await answer.json()) as { keys: Record<string, string>[] };
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([
      "alg crv kid kty use x y".split(" "),
    ]);
    expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
  });

  test("a restart changes no key; what it protects them with is for its owner alone", async () => {
    const kids = async () => {
      const answer = await fetch(`${origin}/.claimgate/jwks.json`);
      return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
    };
    const before = await kids();
    gate.signal("SIGTERM");
    await gate.ended();
    gate = await start();
    expect(await kids()).toEqual(before);
    const { mode } = await Bun.file(join(folder.path, ".claimgate/session.key")).stat();
    expect(mode & 0o777).toBe(0o600);
  });
});

test(
  "without a store since the start only what asks for no assertion passes",
  async () => {
    const [port, nobody] = [freePort(), freePort()];
    const origin = `http://127.0.0.1:${port}`;
    await using upstream = recordingUpstream();
    await using folder = await tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:${port}
store: redis://127.0.0.1:${nobody}
session: { secret: of-this-test-alone-and-long-enough }
revocation: { onStoreLoss: serve }
issuers: [{ name: dev, development: true }]
routes:
  - { match: { path: /plain/* }, upstream: "${upstream.origin}", anyAuthenticated: true }
  - match: { path: /asserted/* }
    upstream: "${upstream.origin}"
    anyAuthenticated: true
    assertion: { header: ${HEADER}, audience: orders }
`,
    });
    await using _gate = await serve([], { folder: folder.path });
    const token = await developmentToken(folder.path, "--sub", "alice");
    const ask = async (path: string) => {
      const answer = await fetch(origin + path, { headers: { Authorization: `Bearer ${token}` } });
      const text = await answer.text();
      return [answer.status, answer.status === 200 ? text : JSON.parse(text).code];
    };
    expect(await ask("/plain/")).toEqual([200, "upstream"]);
    expect(await ask("/asserted/")).toEqual([503, "store_unavailable"]);
    expect(await ask("/plain/")).toEqual([200, "upstream"]);
    expect((await fetch(`${origin}/.claimgate/jwks.json`)).status).toBe(503);
    expect(upstream.seen).toHaveLength(2);
  },
  TEST_LIMIT_MS,
);

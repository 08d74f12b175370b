import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rotateDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { type KeyDependencies, type KeySource, openKeySource } from "../../src/identity/keys.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { configOf, createSigner, NOW_MS, startKeyServer, until } from "./kit.ts";

const REFRESH_MS = 600_000;
const STALE_MS = 3_600_000;

const a = (await createSigner("ES256", "a")).publicJwk;
const b = (await createSigner("ES256", "b")).publicJwk;
const { kid: _, ...nameless } = a;

async function openSource(
  config: Parameters<typeof openKeySource>[0],
  more: Partial<KeyDependencies> = {},
) {
  const folder = await tempFolder();
  const clock = { nowMs: NOW_MS };
  const warnings: string[] = [];
  const source = openKeySource(config, {
    folder: folder.path,
    fetch,
    now: () => clock.nowMs,
    warn: (message) => warnings.push(message),
    ...more,
  });
  return {
    source,
    clock,
    warnings,
    folder: folder.path,
    async [Symbol.asyncDispose]() {
      source.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const at = (url: string, more = {}) => configOf({ keys: { kind: "jwksUri", url }, ...more });
const kids = (source: KeySource) => source.current()?.keys.map((key) => key.kid);

/** Does not answer until it is told to. */
function holdAnswers(server: ReturnType<typeof startKeyServer>, answer: () => Response) {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.answers.set("/keys", () => promise.then(answer));
  return resolve;
}

describe("openKeySource(): a JWKS address", () => {
  test("opens without waiting, and whoever asks waits for the first answer", async () => {
    await using server = startKeyServer();
    const release = holdAnswers(server, () => Response.json({ keys: [a] }));
    await using opened = await openSource(at(`${server.url}/keys`));
    expect(opened.source.current()).toBeUndefined();
    expect(opened.source.state()).toEqual({ state: "missing", keys: 0 });
    const asking = Promise.all([opened.source.refetch(), opened.source.refetch()]);
    await until(() => server.requests.length === 1);
    release();
    await asking;
    expect(kids(opened.source)).toEqual(["a"]);
    expect(opened.source.state()).toEqual({ state: "fresh", keys: 1, fetchedAt: NOW_MS });
    expect(server.requests).toEqual(["/keys"]);
    expect(opened.warnings).toEqual([]);
  });

  test("fetches once for all who ask, and at most every 10 s", async () => {
    await using server = startKeyServer(a);
    await using opened = await openSource(at(`${server.url}/keys`));
    const { source, clock } = opened;
    await until(() => source.current() !== undefined);
    server.publish(b);
    await Promise.all(Array.from({ length: 500 }, () => source.refetch()));
    expect(kids(source)).toEqual(["b"]);
    expect(server.requests).toHaveLength(2);
    server.publish(a);
    for (const aheadMs of [1, 5_000, 9_999]) {
      clock.nowMs = NOW_MS + aheadMs;
      await source.refetch();
    }
    expect(server.requests).toHaveLength(2);
    clock.nowMs = NOW_MS + 10_000;
    await Promise.all(Array.from({ length: 500 }, () => source.refetch()));
    expect(server.requests).toHaveLength(3);
    expect(kids(source)).toEqual(["a"]);
  });

  test("a clock that was set back does not hold up the next fetch", async () => {
    await using server = startKeyServer(a);
    await using opened = await openSource(at(`${server.url}/keys`));
    await until(() => opened.source.current() !== undefined);
    await opened.source.refetch();
    opened.clock.nowMs = NOW_MS - 3_600_000;
    await opened.source.refetch();
    expect(server.requests).toHaveLength(3);
  });

  test("the cooldown holds after failures, and a failure never wipes good keys", async () => {
    await using server = startKeyServer(a);
    await using opened = await openSource(at(`${server.url}/keys`));
    const { source, clock, warnings } = opened;
    await until(() => source.current() !== undefined);
    const failing = [
      () => new Response("no", { status: 500 }),
      () => new Response("{"),
      () => Response.json({ keys: [] }),
      () => Response.json({ keys: [{ kty: "oct", k: "AAAA" }] }),
      () => Response.json({ keys: Array.from({ length: 101 }, () => b) }),
      () => new Response("", { status: 302, headers: { location: "/other" } }),
      () => new Response(" ".repeat(1024 * 1024 + 1)),
    ];
    for (const [index, answer] of failing.entries()) {
      server.answers.set("/keys", answer);
      await source.refetch();
      await source.refetch();
      expect(server.requests).toHaveLength(index + 2);
      expect(kids(source)).toEqual(["a"]);
      clock.nowMs += 10_000;
    }
    expect(source.state()).toEqual({
      state: "fresh",
      keys: 1,
      fetchedAt: NOW_MS,
      error: "answered with more than 1048576 bytes",
    });
    expect(warnings).toHaveLength(failing.length);
    expect(warnings[0]).toBe(
      "issuer main: keys could not be read: answered with status 500; the last good keys go on",
    );
    server.publish(b);
    await source.refetch();
    expect(source.state()).toEqual({ state: "fresh", keys: 1, fetchedAt: clock.nowMs });
  });

  test("good keys serve until refresh and staleFor have passed, and no longer", async () => {
    await using server = startKeyServer(a);
    await using opened = await openSource(at(`${server.url}/keys`));
    const { source, clock } = opened;
    await until(() => source.current() !== undefined);
    server.answers.set("/keys", () => new Response("no", { status: 500 }));
    const stateAfter = (ms: number) => {
      clock.nowMs = NOW_MS + ms;
      return source.state().state;
    };
    expect(stateAfter(REFRESH_MS - 1)).toBe("fresh");
    expect(stateAfter(REFRESH_MS)).toBe("stale");
    expect(stateAfter(REFRESH_MS + STALE_MS - 1)).toBe("stale");
    expect(kids(source)).toEqual(["a"]);
    expect(stateAfter(REFRESH_MS + STALE_MS)).toBe("missing");
    expect(source.current()).toBeUndefined();
    server.publish(a);
    await source.refetch();
    expect(stateAfter(REFRESH_MS + STALE_MS)).toBe("fresh");
  });

  test("the same keys stay the same set, other keys make another", async () => {
    await using server = startKeyServer(a, b);
    await using opened = await openSource(at(`${server.url}/keys`));
    const { source, clock } = opened;
    await until(() => source.current() !== undefined);
    const first = source.current();
    server.publish(b, a);
    await source.refetch();
    expect(source.current()).toBe(first);
    server.publish(b);
    clock.nowMs += 10_000;
    await source.refetch();
    expect(source.current()).not.toBe(first);
  });

  test("says once which keys are left out", async () => {
    await using server = startKeyServer({ ...b, use: "enc" }, a);
    await using opened = await openSource(at(`${server.url}/keys`));
    await until(() => opened.source.current() !== undefined);
    await opened.source.refetch();
    expect(opened.warnings).toEqual(["issuer main: key 1 of 2 is left out: use is not sig"]);
  });

  test("heals by itself when the issuer comes up", async () => {
    await using server = startKeyServer();
    server.answers.set("/keys", () => new Response("no", { status: 503 }));
    await using opened = await openSource(at(`${server.url}/keys`));
    await until(() => opened.warnings.length > 0);
    expect(opened.warnings).toEqual([
      "issuer main: keys could not be read: answered with status 503; no keys are at hand",
    ]);
    server.publish(a);
    await until(() => opened.source.current() !== undefined);
    expect(server.requests).toHaveLength(2);
  });

  test("is refreshed before the keys age", async () => {
    await using server = startKeyServer(a);
    await using opened = await openSource(
      at(`${server.url}/keys`, { refreshMs: 100, staleForMs: 0 }),
    );
    await until(() => server.requests.length >= 3);
    expect(opened.warnings).toEqual([]);
  });

  test("whoever asks is let go when the issuer does not answer", async () => {
    await using server = startKeyServer();
    holdAnswers(server, () => Response.json({ keys: [a] }));
    const limits = { timeoutMs: 40, maxBytes: 1_000 };
    await using opened = await openSource(at(`${server.url}/keys`), { limits });
    await opened.source.refetch();
    expect(opened.source.state()).toEqual({
      state: "missing",
      keys: 0,
      error: "no answer within 40 ms",
    });
  });

  test("nobody waits longer than is said, though the fetch goes on", async () => {
    await using server = startKeyServer();
    const release = holdAnswers(server, () => Response.json({ keys: [a] }));
    await using opened = await openSource(at(`${server.url}/keys`), { longestWaitMs: 20 });
    await opened.source.refetch();
    expect(opened.source.current()).toBeUndefined();
    release();
    await until(() => opened.source.current() !== undefined);
    expect(server.requests).toHaveLength(1);
  });

  test("a thousand wait, and one more does not", async () => {
    await using server = startKeyServer();
    const release = holdAnswers(server, () => Response.json({ keys: [a] }));
    await using opened = await openSource(at(`${server.url}/keys`));
    const waiting = Array.from({ length: 1_000 }, () => opened.source.refetch());
    await until(() => server.requests.length === 1);
    await opened.source.refetch();
    expect(opened.source.current()).toBeUndefined();
    release();
    await Promise.all(waiting);
    expect(kids(opened.source)).toEqual(["a"]);
  });

  test("asks nobody over plain http", async () => {
    await using opened = await openSource(at("http://issuer.example/keys"));
    await opened.source.refetch();
    expect(opened.source.state().error).toBe("it is http, which is for loopback alone");
  });

  test("closing stops what is under way and all that would follow", async () => {
    await using server = startKeyServer();
    const release = holdAnswers(server, () => Response.json({ keys: [a] }));
    await using opened = await openSource(at(`${server.url}/keys`, { refreshMs: 100 }));
    await until(() => server.requests.length === 1);
    opened.source.close();
    release();
    await opened.source.refetch();
    opened.clock.nowMs += 60_000;
    await opened.source.refetch();
    expect(opened.source.current()).toBeUndefined();
    expect(server.requests).toHaveLength(1);
    expect(opened.warnings).toEqual([]);
  });
});

describe("openKeySource(): kept keys", () => {
  const keptFile = (folder: string) => Bun.file(join(folder, ".claimgate/keys-main.json"));

  test("serve after a restart while the issuer is down, for as long as they would have", async () => {
    await using folder = await tempFolder();
    await using server = startKeyServer(a);
    const config = at(`${server.url}/keys`);
    await using first = await openSource(config, { folder: folder.path });
    await until(() => keptFile(folder.path).exists());
    first.source.close();

    server.answers.set("/keys", () => new Response("no", { status: 500 }));
    const clock = { nowMs: NOW_MS + 60_000 };
    const now = () => clock.nowMs;
    await using second = await openSource(config, { folder: folder.path, now });
    await second.source.refetch();
    expect(kids(second.source)).toEqual(["a"]);
    expect(second.source.state()).toMatchObject({ state: "fresh", fetchedAt: NOW_MS });
    clock.nowMs = NOW_MS + REFRESH_MS + STALE_MS;
    expect(second.source.current()).toBeUndefined();
  });

  test("serve the first request, though the issuer does not answer at all", async () => {
    await using folder = await tempFolder();
    await using server = startKeyServer(a);
    const config = at(`${server.url}/keys`);
    await using first = await openSource(config, { folder: folder.path });
    await until(() => keptFile(folder.path).exists());
    first.source.close();
    holdAnswers(server, () => Response.json({ keys: [b] }));
    await using second = await openSource(config, { folder: folder.path, longestWaitMs: 1e9 });
    await second.source.refetch();
    expect(kids(second.source)).toEqual(["a"]);
  });

  test("never replace keys that were fetched", async () => {
    await using folder = await tempFolder();
    await using server = startKeyServer(a);
    const config = at(`${server.url}/keys`);
    await using first = await openSource(config, { folder: folder.path });
    await until(() => keptFile(folder.path).exists());
    first.source.close();
    server.publish(b);
    await using second = await openSource(config, { folder: folder.path });
    await until(() => kids(second.source)?.[0] === "b");
    await until(async () => (await keptFile(folder.path).text()).includes('"b"'));
  });

  test("a damaged file is ignored and said so", async () => {
    await using folder = await tempFolder();
    await using server = startKeyServer();
    await mkdir(join(folder.path, ".claimgate"), { mode: 0o700 });
    await writeFile(join(folder.path, ".claimgate/keys-main.json"), "{", { mode: 0o600 });
    const release = holdAnswers(server, () => Response.json({ keys: [a] }));
    await using opened = await openSource(at(`${server.url}/keys`), { folder: folder.path });
    await until(() => opened.warnings.length > 0);
    expect(opened.warnings).toEqual(["issuer main: the kept keys are damaged and ignored"]);
    release();
    await until(() => opened.source.current() !== undefined);
  });

  test("a folder that cannot be written to is no reason to stop", async () => {
    await using folder = await tempFolder({ ".claimgate": "a file where the folder should be" });
    await using server = startKeyServer(a);
    await using opened = await openSource(at(`${server.url}/keys`), { folder: folder.path });
    await until(() => opened.warnings.some((line) => line.includes("cannot be kept on disk")));
    expect(kids(opened.source)).toEqual(["a"]);
  });
});

describe("openKeySource(): discovery", () => {
  test("finds the keys, and asks for them alone when a kid is unknown", async () => {
    await using server = startKeyServer(a);
    const document = () => Response.json({ issuer: server.url, jwks_uri: `${server.url}/keys` });
    server.answers.set("/.well-known/oauth-authorization-server", document);
    const config = configOf({
      issuer: server.url,
      keys: { kind: "discovery", issuer: server.url },
    });
    await using opened = await openSource(config);
    await until(() => opened.source.current() !== undefined);
    const first = [
      "/.well-known/openid-configuration",
      "/.well-known/oauth-authorization-server",
      "/keys",
    ];
    expect(server.requests).toEqual(first);
    server.publish(b);
    await opened.source.refetch();
    expect(kids(opened.source)).toEqual(["b"]);
    expect(server.requests).toEqual([...first, "/keys"]);
  });

  test("looks again for an address that went away", async () => {
    await using server = startKeyServer(a);
    const document = (path: string) => () =>
      Response.json({ issuer: server.url, jwks_uri: server.url + path });
    server.answers.set("/.well-known/openid-configuration", document("/keys"));
    const config = configOf({
      issuer: server.url,
      keys: { kind: "discovery", issuer: server.url },
    });
    await using opened = await openSource(config);
    await until(() => opened.source.current() !== undefined);
    server.answers.delete("/keys");
    server.answers.set("/.well-known/openid-configuration", document("/moved"));
    server.answers.set("/moved", () => Response.json({ keys: [b] }));
    await opened.source.refetch();
    opened.clock.nowMs += 10_000;
    await opened.source.refetch();
    expect(kids(opened.source)).toEqual(["b"]);
  });

  test("of another issuer is not believed", async () => {
    await using server = startKeyServer(a);
    const document = () =>
      Response.json({ issuer: "https://evil.example", jwks_uri: `${server.url}/keys` });
    server.answers.set("/.well-known/openid-configuration", document);
    const config = configOf({
      issuer: server.url,
      keys: { kind: "discovery", issuer: server.url },
    });
    await using opened = await openSource(config);
    await opened.source.refetch();
    expect(opened.source.state()).toEqual({
      state: "missing",
      keys: 0,
      error: "discovery: OpenID names another issuer; RFC 8414 answered with status 404",
    });
    expect(server.requests).not.toContain("/keys");
  });
});

describe("openKeySource(): files", () => {
  test("a JWKS file is read again when it changes, and a bad one does not wipe good keys", async () => {
    await using files = await tempFolder({ "keys.json": JSON.stringify({ keys: [a] }) });
    const file = join(files.path, "keys.json");
    await using opened = await openSource(
      configOf({ keys: { kind: "jwks", file }, refreshMs: 100 }),
    );
    await until(() => opened.source.current() !== undefined);
    await files.write("next.json", JSON.stringify({ keys: [b] }));
    await rename(join(files.path, "next.json"), file);
    await until(() => kids(opened.source)?.[0] === "b");
    await Bun.write(file, "{");
    await until(() => opened.warnings.length > 0);
    expect(opened.warnings).toEqual([
      "issuer main: keys could not be read: the key file is not JSON; the last good keys go on",
    ]);
    await rm(file);
    await until(() => opened.source.state().error === "the key file cannot be read (ENOENT)");
    expect(kids(opened.source)).toEqual(["b"]);
    expect(await Bun.file(join(opened.folder, ".claimgate/keys-main.json")).exists()).toBe(false);
  });

  test("a file that is not there yet is found when it comes", async () => {
    await using files = await tempFolder();
    const file = join(files.path, "keys.json");
    await using opened = await openSource(
      configOf({ keys: { kind: "jwks", file }, refreshMs: 100 }),
    );
    await until(() => opened.source.state().error === "the key file cannot be read (ENOENT)");
    await files.write("keys.json", JSON.stringify({ keys: [nameless] }));
    await until(() => opened.source.current() !== undefined);
    expect(opened.source.current()).toMatchObject({ fits: "kid" });
  });

  test("a PEM key fits any kid", async () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await using files = await tempFolder({
      "key.pem": publicKey.export({ format: "pem", type: "spki" }).toString(),
    });
    const keys = { kind: "publicKey", file: join(files.path, "key.pem") } as const;
    await using opened = await openSource(configOf({ keys }));
    await until(() => opened.source.current() !== undefined);
    expect(opened.source.current()).toMatchObject({
      fits: "any",
      keys: [{ jwk: { crv: "P-256" } }],
    });
  });

  test("development keys are made on first use and follow a rotation", async () => {
    await using files = await tempFolder();
    const folder = join(files.path, ".claimgate");
    await using opened = await openSource(
      configOf({ keys: { kind: "development", folder }, refreshMs: 100 }),
    );
    await until(() => kids(opened.source)?.length === 1);
    const [newest] = await rotateDevelopmentKeys(folder);
    await until(() => kids(opened.source)?.[0] === newest?.kid);
    expect(kids(opened.source)).toHaveLength(2);
  });

  test("unusable development keys are said to the log, without the path to everyone", async () => {
    await using files = await tempFolder();
    const folder = join(files.path, ".claimgate");
    await mkdir(folder, { mode: 0o700 });
    await writeFile(join(folder, "development-keys.json"), "{", { mode: 0o600 });
    await using opened = await openSource(configOf({ keys: { kind: "development", folder } }));
    await until(() => opened.warnings.length > 0);
    expect(opened.warnings[0]).toContain(`${folder}/development-keys.json is damaged`);
    expect(opened.source.state().error).toBe("a key file of ours cannot be used");
  });
});

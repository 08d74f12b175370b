import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { Events, OAuth2Server } from "oauth2-mock-server";
import { freePort } from "../support/free-port.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { createSigner } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, serve, until } from "./claimgate.ts";
import { type ProviderProcess, type Resource, startProvider } from "./provider-process.ts";

const TEST_LIMIT_MS = 60_000;
/** A rotated key is accepted within 15 s; issuers that come back are found sooner. */
const HEAL_LIMIT_MS = 20_000;

async function receiverKey(alg: string, kid: string): Promise<{ secret: JWK; open: JWK }> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return {
    secret: { ...(await exportJWK(pair.privateKey)), alg, kid, use: "enc" },
    open: { ...(await exportJWK(pair.publicKey)), alg, kid, use: "enc" },
  };
}

const ask = async (url: string, token: string) => {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  const isProblem = answer.headers.get("content-type")?.includes("problem+json");
  const code = isProblem ? ((await answer.json()) as { code: string }).code : undefined;
  return code === undefined ? { status: answer.status } : { status: answer.status, code };
};

describe("oidc-provider", () => {
  let upstream: RecordingUpstream;
  let folder: TempFolder;
  let provider: ProviderProcess;
  let gate: RunningServe;
  let start: (keys: readonly JWK[]) => Promise<ProviderProcess>;
  let firstKeys: readonly JWK[];

  beforeAll(async () => {
    const [rsa, ec] = await Promise.all([createSigner("RS256"), createSigner("ES256")]);
    firstKeys = [rsa.privateJwk, ec.privateJwk];
    const sealed = await receiverKey("RSA-OAEP-256", "sealed-1");
    const folded = await receiverKey("ECDH-ES+A256KW", "folded-1");
    const port = freePort();
    const resources: Record<string, Resource> = {
      "https://rsa.example": { alg: "RS256" },
      "https://ec.example": { alg: "ES256" },
      "https://elsewhere.example": { alg: "RS256" },
      "https://brief.example": { alg: "ES256", lifetimeSeconds: 3 },
      "https://sealed.example": {
        alg: "RS256",
        encrypt: { alg: "RSA-OAEP-256", enc: "A256GCM", jwk: sealed.open },
      },
      "https://folded.example": {
        alg: "ES256",
        encrypt: { alg: "ECDH-ES+A256KW", enc: "A256CBC-HS512", jwk: folded.open },
      },
    };
    start = (keys) => startProvider({ port, keys, resources });
    upstream = recordingUpstream();
    folder = await tempFolder({
      "claimgate.yaml": configuration(`http://127.0.0.1:${port}`, upstream.origin),
      "sealed.jwk": JSON.stringify(sealed.secret),
      "folded.jwk": JSON.stringify(folded.secret),
    });
    provider = await start(firstKeys);
    gate = await serve([], { folder: folder.path });
    await until("the issuer's keys", HEAL_LIMIT_MS, async () => {
      const ready = await fetch(`${gate.urls[0]}/.claimgate/ready`);
      const { issuers } = (await ready.json()) as { issuers: { state: string }[] };
      return issuers.every(({ state }) => state === "fresh");
    });
  }, TEST_LIMIT_MS);

  afterAll(async () => {
    await gate?.[Symbol.asyncDispose]();
    await provider?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  test.each([
    ["RS256", "https://rsa.example", "/signed/", 3],
    ["ES256", "https://ec.example", "/signed/", 3],
    ["JWE by RSA-OAEP-256", "https://sealed.example", "/sealed/", 5],
    ["JWE by ECDH-ES+A256KW", "https://folded.example", "/folded/", 5],
  ])(
    "an access token, %s, reaches the upstream as its subject",
    async (_, audience, path, parts) => {
      const token = await provider.token(audience);
      expect(token.split(".")).toHaveLength(parts);
      expect(await ask(`${gate.urls[0]}${path}`, token)).toEqual({ status: 200 });
      const seen = upstream.seen.at(-1);
      expect(seen?.target).toBe(path);
      expect(seen?.headers.get("x-user")).toBe("machine");
      expect(seen?.headers.has("authorization")).toBe(false);
    },
  );

  test.each([
    ["for another audience", "https://elsewhere.example", "/signed/"],
    ["for another route's audience", "https://ec.example", "/narrow/"],
    ["signed only, where encryption is expected", "https://rsa.example", "/sealed/"],
    ["encrypted, where it is not expected", "https://sealed.example", "/signed/"],
    ["encrypted to another key", "https://folded.example", "/sealed/"],
  ])("a token %s does not", async (_, audience, path) => {
    const before = upstream.seen.length;
    const token = await provider.token(audience);
    expect(await ask(`${gate.urls[0]}${path}`, token)).toEqual({
      status: 401,
      code: "token_invalid",
    });
    expect(upstream.seen).toHaveLength(before);
  });

  test(
    "a token passes until it expires",
    async () => {
      const token = await provider.token("https://brief.example");
      const url = `${gate.urls[0]}/signed/`;
      const statuses = new Set<string>();
      await until("the token expired", 10_000, async () => {
        const { status, code = "" } = await ask(url, token);
        statuses.add(`${status} ${code}`.trim());
        return code === "token_expired";
      });
      expect([...statuses]).toEqual(["200", "401 token_expired"]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "keys outlive the provider, a restart of the gate, and then rotate",
    async () => {
      const former = await provider.token("https://rsa.example");
      await provider[Symbol.asyncDispose]();
      gate.signal("SIGTERM");
      expect(await gate.ended()).toBe(0);
      const kept = await stat(join(folder.path, ".claimgate/keys-signed.json"));
      expect(kept.mode & 0o777).toBe(0o600);

      gate = await serve([], { folder: folder.path });
      const url = `${gate.urls[0]}/signed/`;
      expect(await ask(url, former)).toEqual({ status: 200 });
      const ready = await fetch(`${gate.urls[0]}/.claimgate/ready`);
      expect(ready.status).toBe(200);
      expect(await ready.json()).toMatchObject({
        issuers: [{ name: "signed", state: "fresh", keys: 2 }, {}, {}, {}],
      });

      const next = await Promise.all([createSigner("RS256"), createSigner("ES256")]);
      provider = await start(next.map((signer) => signer.privateJwk));
      const latter = await provider.token("https://rsa.example");
      await until("the rotated key accepted", HEAL_LIMIT_MS, async () => {
        const { status, code } = await ask(url, latter);
        // Keys are at hand, so a key that is not among them is never "unavailable".
        if (status !== 200) expect(code).toBe("token_invalid");
        return status === 200;
      });
      // What the provider has withdrawn is good no more, warm or not.
      expect(await ask(url, former)).toEqual({ status: 401, code: "token_invalid" });
    },
    TEST_LIMIT_MS,
  );

  test(
    "a gate that starts without the provider heals by itself",
    async () => {
      await using bare = await tempFolder({
        "claimgate.yaml": await Bun.file(join(folder.path, "claimgate.yaml")).text(),
        "sealed.jwk": await Bun.file(join(folder.path, "sealed.jwk")).text(),
        "folded.jwk": await Bun.file(join(folder.path, "folded.jwk")).text(),
      });
      await provider[Symbol.asyncDispose]();
      provider = await start(firstKeys);
      const token = await provider.token("https://rsa.example");
      await provider[Symbol.asyncDispose]();

      await using early = await serve([], { folder: bare.path });
      const url = `${early.urls[0]}/signed/`;
      expect(await ask(url, token)).toEqual({ status: 503, code: "keys_unavailable" });
      const ready = await fetch(`${early.urls[0]}/.claimgate/ready`);
      expect(ready.status).toBe(200);
      expect(await ready.json()).toMatchObject({
        issuers: [{ name: "signed", state: "missing", keys: 0 }, {}, {}, {}],
      });
      expect((await fetch(`${early.urls[0]}/open/`)).status).toBe(200);

      provider = await start(firstKeys);
      await until("a gate that has healed", HEAL_LIMIT_MS, async () => {
        const { status, code } = await ask(url, token);
        if (status !== 200) expect(code).toBe("keys_unavailable");
        return status === 200;
      });
    },
    TEST_LIMIT_MS,
  );
});

function configuration(issuer: string, upstream: string): string {
  const entry = (name: string, audiences: string, more = "") =>
    `  - { name: ${name}, issuer: "${issuer}", audiences: [${audiences}], clockTolerance: 0s${more} }`;
  const route = (name: string) => `
  - name: ${name}
    match: { path: /${name}/* }
    upstream: ${upstream}
    issuers: [${name}]
    policies: [{ require-scopes: { allOf: [read] } }]
    identityHeaders: { X-User: sub }`;
  return `listen: 127.0.0.1:0
issuers:
${entry("signed", '"https://rsa.example", "https://ec.example", "https://brief.example"')}
${entry("narrow", '"https://rsa.example"')}
${entry("sealed", '"https://sealed.example"', ", decryptionKey: file:sealed.jwk")}
${entry("folded", '"https://folded.example"', ", decryptionKey: file:folded.jwk")}
routes:${["signed", "narrow", "sealed", "folded"].map(route).join("")}
  - { name: open, match: { path: /open/* }, upstream: "${upstream}", public: true }
`;
}

test(
  "oauth2-mock-server: tokens of its token endpoint, and a new key without a restart",
  async () => {
    await using upstream = recordingUpstream();
    const server = new OAuth2Server();
    await server.issuer.keys.generate("RS256");
    server.service.on(Events.BeforeTokenSigning, (token) => {
      Object.assign(token.payload, {
        sub: "alice",
        aud: "api",
        realm_access: { roles: ["staff"] },
      });
    });
    await server.start(0, "127.0.0.1");
    try {
      const issuer = server.issuer.url ?? "";
      await using folder = await tempFolder({
        "claimgate.yaml": `listen: 127.0.0.1:0
issuers:
  - { name: mock, issuer: "${issuer}", audiences: [api], claims: { roles: realm_access.roles } }
routes:
  - upstream: ${upstream.origin}
    policies: [{ require-roles: { anyOf: [staff] } }]
    identityHeaders: { X-Roles: roles }
`,
      });
      await using gate = await serve([], { folder: folder.path });
      const request = async () => {
        const answer = await fetch(`${issuer}/token`, {
          method: "POST",
          body: new URLSearchParams({ grant_type: "client_credentials", scope: "read" }),
        });
        return ((await answer.json()) as { access_token: string }).access_token;
      };
      const accepted = async () => ask(`${gate.urls[0]}/`, await request());
      await until(
        "the token accepted",
        HEAL_LIMIT_MS,
        async () => (await accepted()).status === 200,
      );
      expect(upstream.seen.at(-1)?.headers.get("x-roles")).toBe("staff");

      const { kid } = await server.issuer.keys.generate("ES256");
      const signedBy = async () =>
        JSON.parse(atob((await request()).split(".")[0] ?? "")) as { kid: string };
      await until("a token signed by the new key", HEAL_LIMIT_MS, async () => {
        return (await signedBy()).kid === kid;
      });
      await until("the new key accepted", HEAL_LIMIT_MS, async () => {
        return (await accepted()).status === 200 && (await signedBy()).kid === kid;
      });
    } finally {
      await server.stop();
    }
  },
  TEST_LIMIT_MS,
);

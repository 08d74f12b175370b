import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { createSigner } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, run, serve, until } from "./claimgate.ts";
import { type ProviderProcess, RESOURCE_SERVER, startProvider } from "./provider-process.ts";

const TEST_LIMIT_MS = 60_000;
const MINE = "https://mine.example";
const OTHER = "https://other.example";
const SIGNED = "https://signed.example";

describe("opaque tokens of oidc-provider", () => {
  let upstream: RecordingUpstream;
  let folder: TempFolder;
  let provider: ProviderProcess;
  let gate: RunningServe;

  const ask = async (token: string, path = "/") => {
    const answer = await fetch(gate.urls[0] + path, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const text = await answer.text();
    return answer.status === 200 ? [200] : [answer.status, JSON.parse(text).code];
  };

  beforeAll(async () => {
    const signer = await createSigner("RS256");
    const port = freePort();
    provider = await startProvider({
      port,
      keys: [signer.privateJwk],
      resources: {
        [MINE]: { alg: "RS256", format: "opaque" },
        [OTHER]: { alg: "RS256", format: "opaque" },
        [SIGNED]: { alg: "RS256" },
      },
    });
    upstream = recordingUpstream();
    const { id, secret } = RESOURCE_SERVER;
    const issuer = (name: string, clientSecret: string) => `  - name: ${name}
    issuer: ${provider.issuer}
    audiences: [${MINE}, ${SIGNED}]
    requiredClaims: [client_id]
    introspection: { url: "${provider.issuer}/token/introspection", clientId: "${id}", clientSecret: "${clientSecret}", cache: 1s }
`;
    folder = await tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:0
issuers:
${issuer("main", secret)}${issuer("misconfigured", "another secret")}routes:
  - upstream: "${upstream.origin}"
    issuers: [main]
    policies: [{ require-scopes: { allOf: [read] } }]
    identityHeaders: { X-Client: client_id, X-Scopes: scopes }
  - match: { path: /misconfigured }
    upstream: "${upstream.origin}"
    issuers: [misconfigured]
    anyAuthenticated: true
`,
    });
    gate = await serve([], { folder: folder.path });
  }, TEST_LIMIT_MS);

  afterAll(async () => {
    await gate?.[Symbol.asyncDispose]();
    await provider?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  test("pass, with what the provider says of them", async () => {
    const token = await provider.token(MINE);
    expect(token.split(".")).toHaveLength(1);
    expect(await ask(token)).toEqual([200]);
    const { headers } = upstream.seen.at(-1) ?? {};
    expect([headers?.get("x-client"), headers?.get("x-scopes")]).toEqual(["machine", "read"]);
    expect(headers?.has("authorization")).toBe(false);
  });

  test("and the same provider's JWTs pass beside them", async () => {
    await until("the issuer's keys", 15_000, async () => {
      const [status] = await ask(await provider.token(SIGNED));
      return status === 200;
    });
  });

  test("that are for another audience, or nobody's, do not", async () => {
    expect(await ask(await provider.token(OTHER))).toEqual([401, "token_invalid"]);
    expect(await ask("nobody-has-made-this")).toEqual([401, "token_invalid"]);
  });

  test("that are revoked at the provider are refused once the answer is no longer good", async () => {
    const token = await provider.token(MINE);
    expect(await ask(token)).toEqual([200]);
    await provider.revoke(token);
    await until("a refusal", 5_000, async () => (await ask(token))[0] === 401);
  });

  test("that are revoked here are refused at once", async () => {
    const token = await provider.token(MINE);
    expect(await ask(token)).toEqual([200]);
    const revoked = await run(["revoke", "--token", token], { folder: folder.path });
    expect([revoked.exitCode, revoked.err]).toEqual([0, expect.any(String)]);
    await until("a refusal", 2_000, async () => (await ask(token))[1] === "token_revoked");
  });

  test("are explained", async () => {
    const token = await provider.token(MINE);
    const args = ["explain", "--url", "http://localhost/", "--json", "--token"];
    const passing = await run([...args, token], { folder: folder.path });
    const checks = JSON.parse(passing.out).checks.map(({ name }: { name: string }) => name);
    expect(checks).toContain("introspection");
    expect(checks).not.toContain("signature");
    expect(passing.exitCode).toBe(0);
    const failing = await run([...args, "nobody-has-made-this"], { folder: folder.path });
    expect(JSON.parse(failing.out).checks).toContainEqual({
      name: "introspection",
      ok: false,
      detail: expect.stringMatching(/^token_inactive: /),
    });
  });

  test("of a provider that does not know the gate close it, and its log says why", async () => {
    const token = await provider.token(MINE);
    expect(await ask(token, "/misconfigured")).toEqual([503, "keys_unavailable"]);
    const line = await gate.waitForLog(({ issuer }) => issuer === "misconfigured");
    expect(JSON.stringify(line)).toContain("are clientId and clientSecret right?");
    expect(gate.stderr()).not.toContain(token);
  });

  test("of a provider that is gone close the gate", async () => {
    const token = await provider.token(MINE);
    await provider[Symbol.asyncDispose]();
    expect(await ask(token)).toEqual([503, "keys_unavailable"]);
  });
});

import { expect, test } from "bun:test";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { recordingUpstream } from "../support/recording-upstream.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { makeAuthority } from "./certificate.ts";
import { developmentToken, type RunningServe, serve, until } from "./claimgate.ts";
import { startLoad } from "./load.ts";

const REQUESTS = 2_000;
const REWRITES = 20;
const RELOAD_LIMIT_MS = 10_000;
const TEST_LIMIT_MS = 120_000;

/** Lets everyone pass and says which rule did. */
const POLICY = `import { allow, definePolicy } from "claimgate";
import { RULE } from "./_rule.ts";
export default definePolicy({
  description: "Lets everyone pass",
  async evaluate() {
    // So that there are always some under way when their rules are replaced.
    await new Promise((resolve) => setTimeout(resolve, 5));
    return allow({ headers: { "X-Rule": RULE } });
  },
  cases: [{ name: "everyone passes", expect: { allow: { headers: { "X-Rule": RULE } } } }],
});
`;
const helper = (rule: number) => `export const RULE = "rule ${rule}";\n`;

/** Each differs from the one before in issuers, routes and headers, and serves /kept alike. */
const configuration = (version: number, upstream: string, more = "") => `listen: 127.0.0.1:0
issuers:
  - { name: dev, development: true, clockTolerance: ${30 + version}s }
routes:
  - name: kept
    match: { path: /kept/* }
    upstream: ${upstream}
    policies: [passing]
    identityHeaders: { X-User: sub }
    requestHeaders: { set: { X-Version: "${version}" } }
  - { name: new-${version}, match: { path: /new-${version} }, upstream: echo, public: true }
${more}`;

test(
  "2,000 requests while policies and configuration are rewritten: none fails",
  async () => {
    await using upstream = recordingUpstream();
    await using folder = await tempFolder({
      "claimgate.yaml": configuration(0, upstream.origin),
      "policies/passing.ts": POLICY,
      "policies/_rule.ts": helper(0),
    });
    const token = await developmentToken(folder.path, "--sub", "alice", "--ttl", "10m");
    await using gate = await serve([], { folder: folder.path });
    const load = startLoad(askFor(`${gate.urls[0]}/kept/`, token));

    for (let version = 1; version <= REWRITES; version++) {
      const reloads = countOf(gate, "reloaded");
      if (version % 2 === 0) await folder.write("policies/_rule.ts", helper(version));
      else await folder.write("claimgate.yaml", configuration(version, upstream.origin));
      await until(`reload ${version}`, RELOAD_LIMIT_MS, () => countOf(gate, "reloaded") > reloads);
      if (version % 5 === 0) {
        // In between, what does not hold must not disturb what does.
        const refused = countOf(gate, "reload_refused");
        await folder.write("policies/_rule.ts", "export const RULE = ;");
        await until("a refusal", RELOAD_LIMIT_MS, () => countOf(gate, "reload_refused") > refused);
        await folder.write("policies/_rule.ts", helper(version - (version % 2)));
        await until("a reload", RELOAD_LIMIT_MS, () => countOf(gate, "reloaded") > reloads + 1);
      }
    }
    expect(await load.finish(REQUESTS)).toEqual([]);
    expect(load.count()).toBeGreaterThanOrEqual(REQUESTS);

    // Every one was decided, told and forwarded, once.
    const forwarded = (line: object) => Bun.deepMatch({ route: "kept", decision: "forward" }, line);
    await until("all decisions in the log", RELOAD_LIMIT_MS, () => {
      return gate.log.filter(forwarded).length === load.count();
    });
    expect(upstream.seen).toHaveLength(load.count());
    // Old and new rules answered, and the last one is in force.
    const rules = new Set(upstream.seen.map(({ headers }) => headers.get("x-rule")));
    expect([...rules]).toEqual(Array.from({ length: 11 }, (_, index) => `rule ${index * 2}`));
    expect(upstream.seen.at(-1)?.headers.get("x-version")).toBe("19");
  },
  TEST_LIMIT_MS,
);

test(
  "SIGHUP under load: none fails",
  async () => {
    await using upstream = recordingUpstream();
    await using folder = await tempFolder({
      "claimgate.yaml": configuration(0, upstream.origin),
      "policies/passing.ts": POLICY,
      "policies/_rule.ts": helper(0),
    });
    const token = await developmentToken(folder.path, "--sub", "alice");
    await using gate = await serve([], { folder: folder.path });
    const load = startLoad(askFor(`${gate.urls[0]}/kept/`, token));
    for (let time = 1; time <= 5; time++) {
      gate.signal("SIGHUP");
      await until(`reload ${time}`, RELOAD_LIMIT_MS, () => countOf(gate, "reloaded") >= time);
    }
    expect(await load.finish(500)).toEqual([]);
  },
  TEST_LIMIT_MS,
);

test.each(["reused", "fresh"] as const)(
  "certificates renewed under load, %s connections: none fails",
  async (connections) => {
    await using upstream = recordingUpstream();
    const authority = makeAuthority("Test authority");
    await using folder = await tempFolder({ "policies/passing.ts": POLICY });
    await folder.write("policies/_rule.ts", helper(0));
    await renew(folder, authority.issue("gate 0"));
    const tls = "tls: { cert: cert.pem, key: key.pem }\n";
    await folder.write("claimgate.yaml", configuration(0, upstream.origin, tls));
    const token = await developmentToken(folder.path, "--sub", "alice");
    await using gate = await serve([], { folder: folder.path });
    const port = Number(new URL(gate.urls[0]).port);
    const init = { tls: { ca: authority.cert }, keepalive: connections === "reused" };
    const load = startLoad(askFor(`${gate.urls[0]}/kept/`, token, init));

    expect(await servedName(port, authority.cert)).toBe("gate 0");
    for (let time = 1; time <= 5; time++) {
      await renew(folder, authority.issue(`gate ${time}`));
      await until(`certificate ${time}`, RELOAD_LIMIT_MS, async () => {
        return (await servedName(port, authority.cert)) === `gate ${time}`;
      });
    }
    expect(await load.finish(1_000)).toEqual([]);
  },
  TEST_LIMIT_MS,
);

test(
  "a request that came before the renewal is answered, even while the gate ends",
  async () => {
    const asked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    await using upstream = recordingUpstream(async () => {
      asked.resolve();
      await released.promise;
      return new Response("upstream");
    });
    const authority = makeAuthority("Test authority");
    await using folder = await tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:0
tls: { cert: cert.pem, key: key.pem }
routes: [{ upstream: "${upstream.origin}", public: true }]
`,
    });
    await renew(folder, authority.issue("gate 0"));
    await using gate = await serve([], { folder: folder.path });
    const port = Number(new URL(gate.urls[0]).port);
    const slow = askFor(gate.urls[0], "none", { tls: { ca: authority.cert } });
    const answered = slow(AbortSignal.timeout(TEST_LIMIT_MS));
    await asked.promise;
    await renew(folder, authority.issue("gate 1"));
    await until("the new certificate on the same port", RELOAD_LIMIT_MS, async () => {
      return (await servedName(port, authority.cert)) === "gate 1";
    });
    gate.signal("SIGTERM");
    await gate.waitForLog((line) => line.event === "draining");
    released.resolve();
    expect(await answered).toBeUndefined();
    expect(await gate.ended()).toBe(0);
  },
  TEST_LIMIT_MS,
);

function askFor(url: string, token: string, init: BunFetchRequestInit = {}) {
  return async (signal: AbortSignal): Promise<string | undefined> => {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(url, { ...init, headers, signal });
    const body = await answer.text();
    return answer.status === 200 && body === "upstream" ? undefined : `${answer.status} ${body}`;
  };
}

function countOf(gate: RunningServe, event: string): number {
  return gate.log.filter((line) => line.event === event).length;
}

/** As renewing programs do: each file is replaced whole, one after the other. */
async function renew(folder: TempFolder, renewed: { cert: string; key: string }): Promise<void> {
  for (const name of ["cert", "key"] as const) {
    const written = await folder.write(`${name}.pem.new`, renewed[name]);
    await rename(written, join(folder.path, `${name}.pem`));
  }
}

function servedName(port: number, ca: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: "127.0.0.1", ca }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

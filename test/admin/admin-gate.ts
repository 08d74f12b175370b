/**
 * A gate in this process with its admin API, a user's token for it, and what asks the API.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import { type AdminApi, openAdmin } from "../../src/admin/api.ts";
import { type RunningGate, startGate } from "../../src/cli/start-gate.ts";
import type { AdminConfig } from "../../src/config/resolved.ts";
import { ensureDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { mintToken } from "../../src/idp/mint.ts";
import { DEVELOPMENT_ISSUER } from "../../src/lib/development.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

export type AdminGate = AsyncDisposable & {
  /** Of the gate itself. */
  readonly url: string;
  readonly folder: TempFolder;
  readonly running: RunningGate;
  readonly api: AdminApi;
  readonly log: readonly string[];
  /** Moves the time by which wrong tokens are counted. */
  readonly clock: { aheadMs: number };
  /** Asks the admin API. */
  readonly ask: (path: string, init?: RequestInit) => Promise<Response>;
  readonly json: (path: string, init?: RequestInit) => Promise<Answer>;
  /** Asks the gate, with a token of that subject. @returns The status. */
  readonly visit: (path: string, subject?: string) => Promise<number>;
  readonly token: (subject: string) => Promise<string>;
};

// biome-ignore lint/suspicious/noExplicitAny: what it is, tests say
export type Answer = { readonly status: number; readonly body: any };

const POLICY = `import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ sub: Type.String() }),
  evaluate: ({ claims }) => (claims.sub === "mallory" ? deny("not_staff", "go away") : allow()),
  cases: [{ name: "alice passes", claims: { sub: "alice" }, expect: "allow" }],
});
`;

const CONFIG = {
  listen: "127.0.0.1:0",
  issuers: [{ name: "dev", development: true }],
  routes: [
    { name: "staff", match: { path: "/staff/*" }, upstream: "echo", policies: ["staff"] },
    { name: "open", match: { path: "/open/*" }, upstream: "echo", public: true },
  ],
};

/** @param admin The API's own part of the configuration; a socket `test.sock` otherwise. */
export async function openAdminGate(admin: Partial<AdminConfig> = {}): Promise<AdminGate> {
  const folder = await tempFolder({
    "claimgate.yaml": stringify(CONFIG),
    "policies/staff.ts": POLICY,
  });
  const log: string[] = [];
  const sink = { write: (line: string) => void log.push(line), flush: async () => {} };
  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const running = await startGate({
    file: join(folder.path, "claimgate.yaml"),
    environment: {},
    now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now }),
  });
  const { gate, reload } = running;
  const listen = { kind: "unix", path: join(folder.path, "test.sock") } as const;
  const api = await openAdmin(gate, {
    // The gate has one of its own: this one tells a version, and counts by another clock.
    config: () => ({ ...gate.site.config, admin: { listen, ...admin } }),
    store: gate.ledger.store,
    reload,
    version: "1.2.3",
  }).catch(async (fault) => {
    await running.drain();
    await folder[Symbol.asyncDispose]();
    throw fault;
  });
  const [key] = await ensureDevelopmentKeys(join(folder.path, ".claimgate"));
  if (key === undefined) throw new Error("there is no key to sign with");
  const [url = ""] = running.urls();
  const token = (subject: string) =>
    mintToken(key, { issuer: DEVELOPMENT_ISSUER, subject, claims: {}, nowMs: Date.now() });
  const ask = (path: string, init: RequestInit = {}) => {
    const { url: at } = api;
    if (!at.startsWith("unix:")) return fetch(at + path, init);
    return fetch(`http://localhost${path}`, { ...init, unix: at.slice("unix:".length) });
  };
  return {
    url,
    folder,
    running,
    api,
    log,
    clock,
    ask,
    async json(path, init) {
      const response = await ask(path, init);
      return { status: response.status, body: await response.json() };
    },
    async visit(path, subject) {
      const headers: Record<string, string> = {};
      if (subject !== undefined) headers.Authorization = `Bearer ${await token(subject)}`;
      const response = await fetch(url + path, { headers });
      await response.text();
      return response.status;
    },
    token,
    async [Symbol.asyncDispose]() {
      await api.close();
      await running.drain();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export function posting(body: object, headers: Readonly<Record<string, string>> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
}

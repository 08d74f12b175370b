/**
 * A gate in this process with sign-in, before an upstream that says what reached it, with a
 * clock that tests move on.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { startGate } from "../../src/cli/start-gate.ts";
import type { Gate } from "../../src/gate/site.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { freePort } from "../support/free-port.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

export type LoginGate = AsyncDisposable & {
  /** Its public origin: `http://localhost:21234`. */
  readonly url: string;
  readonly port: number;
  readonly gate: Gate;
  readonly upstream: RecordingUpstream;
  readonly folder: TempFolder;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly acts: readonly AuditEntry[];
  /** Resolves when the store has been told of what is in use. */
  readonly told: () => Promise<unknown>;
  /** What the gate's clock is ahead of the provider's. */
  readonly clock: { aheadMs: number };
};

export type LoginGateOptions = {
  /** Of the configuration, besides what every one has; `issuers` at least. */
  readonly config: (about: { readonly upstream: string; readonly port: number }) => object;
  readonly files?: Readonly<Record<string, string>>;
  /** Another gate's, to share its store and secrets. */
  readonly folder?: TempFolder;
  readonly port?: number;
};

export async function openLoginGate(options: LoginGateOptions): Promise<LoginGate> {
  const port = options.port ?? freePort();
  const url = `http://localhost:${port}`;
  const upstream = recordingUpstream();
  const text = stringify({
    listen: `127.0.0.1:${port}`,
    publicUrl: url,
    ...options.config({ upstream: upstream.origin, port }),
  });
  const folder = options.folder ?? (await tempFolder({ ...options.files }));
  const file = join(folder.path, `claimgate-${port}.yaml`);
  await Bun.write(file, text);
  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const log: Readonly<Record<string, unknown>>[] = [];
  const sink = { write: (line: string) => void log.push(JSON.parse(line)), flush: async () => {} };
  const running = await startGate({
    file,
    environment: {},
    now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now }),
  });
  const { gate } = running;
  const acts: AuditEntry[] = [];
  const { record } = gate.ledger.audit;
  gate.ledger.audit.record = (entry) => {
    if (entry.kind === "act") acts.push(entry);
    record(entry);
  };
  const telling = new Set<Promise<boolean>>();
  const { store } = gate.ledger;
  const replace = store.replace.bind(store);
  store.replace = (...args) => {
    const work = replace(...args);
    telling.add(work);
    const done = () => telling.delete(work);
    work.then(done, done);
    return work;
  };
  return {
    url,
    port,
    told: () => Promise.all(telling),
    gate,
    upstream,
    folder,
    log,
    acts,
    clock,
    async [Symbol.asyncDispose]() {
      await running.drain();
      await upstream[Symbol.asyncDispose]();
      if (options.folder === undefined) await folder[Symbol.asyncDispose]();
    },
  };
}

/** An issuer entry for a provider on this machine. */
export function issuerEntry(
  issuer: string,
  name = "provider",
  login: object = {},
  more: object = {},
): object {
  return {
    name,
    issuer,
    login: { clientId: "gate", clientSecret: "for-this-test-only", ...login },
    ...more,
  };
}

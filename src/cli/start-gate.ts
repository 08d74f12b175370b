/**
 * Starts the gate from a configuration file, reloads it in place and drains it. `serve` and
 * `demo` are thin around this.
 *
 * @module
 */
import { version } from "../../package.json";
import type { AdminDependencies } from "../admin/admin.ts";
import type { AdminApi } from "../admin/api.ts";
import { loadConfig } from "../config/load.ts";
import type { Config, ListenAddress } from "../config/resolved.ts";
import { type Finding, GateError } from "../errors.ts";
import { type Assembly, assemble, stateFolderOf } from "../gate/assemble.ts";
import { openGateAssertions } from "../gate/assert.ts";
import { openLedger } from "../gate/ledger.ts";
import { openGateLogin } from "../gate/open-login.ts";
import { openSite, retireSite } from "../gate/open-site.ts";
import type { Gate } from "../gate/site.ts";
import { openStreams } from "../gate/streams.ts";
import { inTime } from "../lib/in-time.ts";
import { reportStray } from "../policy/graph.ts";
import { closeTunnels } from "../proxy/tunnel.ts";
import { err, type Result } from "../result.ts";
import type { Store } from "../store/store.ts";
import type { Log, LogLevel } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { openSubjectHash } from "../telemetry/subject-hash.ts";
import { type Listener, readTls, type SharedPorts } from "./listen.ts";
import { keeps, openListeners } from "./open-listeners.ts";
import { refuseOtherPlaces, refuseOtherTls } from "./refuse-reload.ts";
import { configFault } from "./report-findings.ts";

export type RunningGate = {
  readonly gate: Gate;
  readonly urls: () => readonly string[];
  /** Files and folders whose change asks for a reload. */
  readonly watched: () => readonly string[];
  /** @returns Whether the new configuration is in force; if not, the old one still is. */
  readonly reload: () => Promise<boolean>;
  /** Lets requests under way finish, up to `drainMs`, then cuts the rest. */
  readonly drain: () => Promise<void>;
  /** Resolves once sockets that a reload has replaced take no more connections. */
  readonly handedOver: () => Promise<unknown>;
};

type StartOptions = {
  /** As the owner typed it; findings show it so. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Given the level that the configuration in force asks for. */
  readonly openLog: (level: () => LogLevel) => Log;
  readonly now: () => number;
  /** The configuration, where it has been read already. */
  readonly loaded?: Awaited<ReturnType<typeof loadConfig>>;
  /** Where this is one of several processes that serve together. */
  readonly team?: Team;
};

/** The other workers, as one of them sees them. */
export type Team = SharedPorts & {
  /** One of them has the admin API, for all. */
  readonly hasAdmin: boolean;
  /** Reloads all. @returns Whether the new configuration is in force. */
  readonly reload: () => Promise<boolean>;
  readonly countAll: NonNullable<AdminDependencies["countAll"]>;
  /** Out of buckets that all share; rejects when they cannot be asked. */
  readonly takeTokens: NonNullable<Store["takeTokens"]>;
};

/** How long requests under way may take once the gate is told to end. */
export const DRAIN_MS = 30_000;
const DRAIN_POLL_MS = 20;
const ADMIN_CLOSE_MS = 1_000;

/**
 * @throws GateError `usage_wrong` (no such file), `config_invalid` with all findings,
 *   `port_taken`, `state_unusable`.
 */
export async function startGate(options: StartOptions): Promise<RunningGate> {
  const { file, environment, now, team } = options;
  let onStray = reportStray;
  const assembleNow = async (loaded?: StartOptions["loaded"]) => {
    const config = loaded ?? (await loadConfig(file, environment));
    return config.ok ? await assemble(config.value, file, (error) => onStray(error)) : config;
  };
  const assembly = await assembleNow(options.loaded);
  if (!assembly.ok) throw configFault(file, assembly.error);
  let config = assembly.value.config;

  const log = options.openLog(() => config.log.level);
  onStray = (error) =>
    logFault(log, "policy_stray", "policy code failed where nobody waits", error);
  warnOf(log, assembly.value.warnings);
  let tls = config.tls && (await readTls(config.tls));
  const takeTokens = team?.takeTokens;
  const ledger = await openLedger(() => config, { log, now, ...(takeTokens && { takeTokens }) });
  const { revocations, sightings } = ledger;
  const login = openGateLogin({ site: () => gate.site, ledger, log, now });
  const { sessions } = login;
  const siteParts = { log, now, revocations, historyOf: sightings.history, sessions };
  const gate: Gate = {
    ledger,
    login,
    assertions: openGateAssertions({ store: ledger.store, config: () => config, log, now }),
    streams: openStreams({ site: () => gate.site, ledger, log, now }),
    site: await openSite(assembly.value, undefined, siteParts),
    decisions: ledger.decisions,
    metrics: createMetrics(),
    draining: false,
    log,
    now,
    subjectHash: await openSubjectHash(stateFolderOf(config)),
  };
  let listeners = await openListeners(gate, config, tls, { shared: team }).catch(async (fault) => {
    retireSite(gate.site, undefined);
    await ledger.close();
    throw fault;
  });

  const admin = await openAdminIfMine(
    gate,
    {
      config: () => config,
      store: ledger.store,
      reload: () => reload(),
      version,
    },
    team,
  ).catch(async (fault) => {
    await Promise.all(listeners.map((listener) => listener.cut()));
    retireSite(gate.site, undefined);
    await ledger.close();
    throw fault;
  });

  /** Those that a reload has replaced: they still answer what they had accepted. */
  let retired: Listener[] = [];
  let handingOver: Promise<unknown> = Promise.resolve();

  function retire(former: readonly Listener[], wanted: readonly ListenAddress[]): void {
    retired = [...retired.filter((listener) => listener.pending() > 0), ...former];
    const isWanted = ({ address }: Listener) => wanted.some((one) => Bun.deepEquals(one, address));
    for (const listener of former) if (!isWanted(listener)) listener.stop();
    handingOver = Promise.all(former.filter(isWanted).map((listener) => listener.handOver()));
  }

  async function putInForce(next: Assembly): Promise<void> {
    const nextTls = next.config.tls && (await readTls(next.config.tls));
    refuseOtherTls(next.config.listen, listeners, tls, nextTls);
    refuseOtherPlaces(config, next.config);
    const kept = listeners.filter((listener) => keeps(listener, config, next.config, tls, nextTls));
    if (kept.length < listeners.length) await handingOver;
    const site = await openSite(next, gate.site, siteParts);
    const places = { former: listeners, kept, shared: team };
    const opened = await openListeners(gate, next.config, nextTls, places).catch((fault) => {
      retireSite(site, gate.site);
      throw fault;
    });
    const former = gate.site;
    gate.site = site;
    const replaced = listeners.filter((listener) => !opened.includes(listener));
    if (replaced.length > 0) retire(replaced, next.config.listen);
    [listeners, tls, config] = [opened, nextTls, next.config];
    retireSite(former, site);
  }

  async function reloadOnce(): Promise<boolean> {
    const next = await assembleNow().catch(
      (fault: unknown): Result<Assembly, readonly Finding[]> => {
        logRefusal(log, fault);
        return err([]);
      },
    );
    let inForce = false;
    if (next.ok) {
      inForce = await putInForce(next.value).then(
        () => true,
        (fault: unknown) => {
          next.value.policies.dispose();
          logRefusal(log, fault);
          return false;
        },
      );
    } else {
      for (const finding of next.error) log.event("error", "reload_refused", lineOf(finding));
    }
    gate.lastReload = { inForce, atMs: now() };
    gate.metrics.reloaded(inForce ? "in_force" : "refused");
    if (next.ok && inForce) {
      warnOf(log, next.value.warnings);
      // Of several workers one alone says nothing yet of what clients meet.
      log.event("info", team ? "worker_reloaded" : "reloaded", "the new configuration is in force");
    } else {
      log.event("error", "reload_refused", "the former configuration stays in force");
    }
    return inForce;
  }

  async function drain(): Promise<void> {
    gate.draining = true;
    closeTunnels();
    const all = [...listeners, ...retired];
    const pending = () => all.reduce((sum, listener) => sum + listener.pending(), 0);
    const end = performance.now() + DRAIN_MS;
    while (pending() > 0 && performance.now() < end) await Bun.sleep(DRAIN_POLL_MS);
    if (pending() > 0)
      log.event("warn", "drain_cut", "cut what was still open", { open: pending() });
    await Promise.all(all.map((listener) => listener.cut()));
    // A client that holds on to it must not keep what was decided from being written.
    if (admin) await inTime(admin.close(), ADMIN_CLOSE_MS, () => undefined);
    gate.streams.stop();
    gate.assertions.close();
    gate.decisions.close();
    retireSite(gate.site, undefined);
    await ledger.close();
    await log.flush();
  }

  const reload = oneAtATime(reloadOnce);
  return {
    gate,
    urls: () => listeners.map((listener) => listener.url),
    watched: () => watchedFiles(config),
    reload,
    drain,
    handedOver: () => handingOver,
  };
}

/** What asks while the work is under way shares the run that starts next. */
export function oneAtATime(work: () => Promise<boolean>): () => Promise<boolean> {
  let running: Promise<boolean> | undefined;
  let waiting: Promise<boolean> | undefined;
  return function start(): Promise<boolean> {
    if (running === undefined) {
      running = work().finally(() => {
        running = undefined;
      });
      return running;
    }
    waiting ??= running.then(() => {
      waiting = undefined;
      return start();
    });
    return waiting;
  };
}

async function openAdminIfMine(
  gate: Gate,
  own: AdminDependencies,
  team: Team | undefined,
): Promise<AdminApi | undefined> {
  if (team?.hasAdmin === false) return undefined;
  // What serves is up already and need not wait for this.
  const { openAdmin } = await import("../admin/api.ts");
  if (team === undefined) return openAdmin(gate, own);
  const { reload, countAll } = team;
  return openAdmin(gate, { ...own, reload, countAll });
}

function watchedFiles(config: Config): string[] {
  const { tls } = config;
  const files = [config.file, config.policies, tls?.cert, tls?.key, tls?.clientCa, config.geo];
  return files.filter((file) => file !== undefined);
}

function warnOf(log: Log, warnings: readonly Finding[]): void {
  for (const warning of warnings) log.event("warn", warning.code, lineOf(warning));
}

/** Of code that runs where no request and no reload waits for it. */
export function logFault(log: Log, event: string, message: string, fault: unknown): void {
  const stack = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
  log.event("error", event, message, { stack: stack.slice(0, 2_000) });
}

function logRefusal(log: Log, fault: unknown): void {
  const message = fault instanceof GateError ? fault.message : String(fault);
  log.event("error", "reload_refused", message);
}

function lineOf({ file, line, column, message, fix }: Finding): string {
  return `${file}:${line}:${column} ${message}${fix === undefined ? "" : ` (${fix})`}`;
}

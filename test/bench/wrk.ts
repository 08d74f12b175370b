/**
 * One measured run of wrk.
 *
 * @module
 */
import { join } from "node:path";
import { processorMs, type Running } from "./process.ts";

export type Round = {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the program under measurement, for one request. */
  readonly processorMicros: number;
};

export type Load = {
  readonly seconds: number;
  readonly core: number;
  /** A token sent with every request, or a file with one token a line, each sent once. */
  readonly tokens: { readonly one: string } | { readonly file: string } | "none";
};

const CONNECTIONS = 64;
const SCRIPT = join(import.meta.dir, "tokens.lua");

/** @throws Error when any answer was not a 2xx, or wrk ended badly. */
export async function measure(target: Running, load: Load): Promise<Round> {
  const { tokens } = load;
  const options = ["-t1", `-c${CONNECTIONS}`, `-d${load.seconds}s`, "--latency"];
  if (tokens !== "none") {
    options.push(
      ...("one" in tokens ? ["-H", `Authorization: Bearer ${tokens.one}`] : ["-s", SCRIPT]),
    );
  }
  const tokenFile = typeof tokens === "object" && "file" in tokens ? tokens.file : "";
  const before = await processorMs(target.pid);
  const wrk = Bun.spawn(["taskset", "-c", String(load.core), "wrk", ...options, target.url], {
    env: { ...process.env, TOKENS: tokenFile },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([wrk.stdout.text(), wrk.stderr.text()]);
  const spentMs = (await processorMs(target.pid)) - before;
  if ((await wrk.exited) !== 0 || /Non-2xx|Socket errors/.test(out)) {
    throw new Error(`Cannot measure ${target.name}:\n${out}${error}`);
  }
  const requests = Number(/(\d+) requests in/.exec(out)?.[1]);
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]),
    p50Ms: latencyMs(out, "50%"),
    p99Ms: latencyMs(out, "99%"),
    processorMicros: (spentMs * 1_000) / requests,
  };
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 };

function latencyMs(text: string, share: string): number {
  const match = new RegExp(`^\\s+${share}\\s+([\\d.]+)(us|ms|s)$`, "m").exec(text);
  return Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
}

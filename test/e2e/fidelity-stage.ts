/**
 * The gate before an upstream of a test's own, and what it holds in memory meanwhile.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { inTime } from "../../src/lib/in-time.ts";
import { makeCertificate } from "../support/certificate.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { developmentToken, serve } from "./claimgate.ts";

export type Stage = AsyncDisposable & {
  /** Without a final slash. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Good on every path but those below `/public/`, which need none. */
  readonly token: string;
  readonly stderr: () => string;
};

type StageOptions = {
  /** Of the file's `http:`, written as YAML. */
  readonly http?: string;
  /** Serves TLS, and so HTTP/2, with a certificate of `localhost`. */
  readonly tls?: true;
  readonly environment?: Readonly<Record<string, string>>;
};

/** @param upstream As a route's `upstream` has it. */
export async function openStage(upstream: string, options: StageOptions = {}): Promise<Stage> {
  const { cert, key } = makeCertificate();
  const folder = await tempFolder({
    "cert.pem": cert,
    "key.pem": key,
    "claimgate.yaml": `listen: 127.0.0.1:0
http: { ${options.http ?? "maxBodySize: 1GB"} }
${options.tls === undefined ? "" : "tls: { cert: cert.pem, key: key.pem }"}

issuers: [{ name: dev, development: true }]
routes:
  - { match: { path: /* }, upstream: "${upstream}", anyAuthenticated: true }
  - { match: { path: /public/* }, upstream: "${upstream}", public: true }
`,
  });
  const gate = await serve([], { folder: folder.path, environment: options.environment ?? {} });
  const token = await developmentToken(folder.path, "--sub", "alice");
  return {
    url: gate.urls[0],
    port: Number(new URL(gate.urls[0]).port),
    pid: gate.pid,
    token,
    stderr: gate.stderr,
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export const MEGABYTE = 1024 ** 2;

/** @returns What the process had in memory at most beyond what it had before, in bytes (Linux). */
export async function addedMemory(pid: number, work: () => Promise<void>): Promise<number> {
  // proc(5): 5 makes the peak what is in use now.
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  const before = memoryOf(pid, "VmRSS");
  await work();
  return memoryOf(pid, "VmHWM") - before;
}

function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
}

const WAIT_LIMIT_MS = 15_000;

/** @throws Error when it takes too long. */
export function within<T>(promise: Promise<T>): Promise<T> {
  return inTime(promise, WAIT_LIMIT_MS, () => {
    throw new Error(`nothing came within ${WAIT_LIMIT_MS} ms`);
  });
}

/**
 * `workers`: how many processes serve together.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { readCount } from "./quantity.ts";
import type { Reading } from "./report.ts";
import type { ListenAddress } from "./resolved.ts";
import type { FileContent } from "./schema.ts";

/** What of this machine matters here. */
type Machine = { readonly platform: string; readonly cores: number };

const RANGE = [1, 64] as const;

/**
 * `auto` is one for each core where several can share a port, and one elsewhere; a number is
 * meant, so where it cannot be, that is told.
 */
export function readWorkers(
  written: FileContent["workers"],
  listens: readonly ListenAddress[],
  { report }: Reading,
  machine: Machine = { platform: process.platform, cores: availableParallelism() },
): number {
  const why = whyAlone(listens, machine);
  if (written === "auto") return why === undefined ? Math.min(machine.cores, RANGE[1]) : 1;
  const workers = readCount(written, 1, RANGE, ["workers"], report);
  if (workers === 1 || why === undefined) return workers;
  report.at(["workers"], {
    code: "workers_alone",
    message: `${workers} workers cannot serve together: ${why}`,
    fix: "write auto (1 here), or 1",
  });
  return 1;
}

function whyAlone(listens: readonly ListenAddress[], { platform }: Machine): string | undefined {
  if (platform !== "linux") return "only Linux shares a port among processes";
  const isUnix = listens.some(({ kind }) => kind === "unix");
  return isUnix ? "a unix socket has one process that listens" : undefined;
}

import { describe, expect, test } from "bun:test";
import { readWorkers } from "../../src/config/read-workers.ts";
import { openReport } from "../../src/config/report.ts";
import type { ListenAddress } from "../../src/config/resolved.ts";
import { readSource } from "../../src/config/source.ts";

const TCP: ListenAddress = { kind: "tcp", hostname: "127.0.0.1", port: 8080 };
const UNIX: ListenAddress = { kind: "unix", path: "/run/gate.sock" };

function read(written: number | "auto" | undefined, listens: ListenAddress[], platform: string) {
  const source = readSource(`workers: ${written}\n`, {});
  const report = openReport("claimgate.yaml", source);
  const reading = { source, report, folder: "/" };
  const workers = readWorkers(written, listens, reading, { platform, cores: 6 });
  return { workers, codes: report.findings().map(({ code }) => code) };
}

describe("readWorkers()", () => {
  test("one, unless more are asked for", () => {
    expect(read(undefined, [TCP], "linux")).toEqual({ workers: 1, codes: [] });
    expect(read(3, [TCP], "linux")).toEqual({ workers: 3, codes: [] });
  });

  test("auto is one for each core", () => {
    expect(read("auto", [TCP], "linux")).toEqual({ workers: 6, codes: [] });
  });

  test.each([
    ["darwin", [TCP]],
    ["linux", [UNIX]],
    ["linux", [TCP, UNIX]],
  ])(
    "where a socket cannot be shared (%s, %j), auto is one and a number is told",
    (platform, listens) => {
      expect(read("auto", listens, platform)).toEqual({ workers: 1, codes: [] });
      expect(read(1, listens, platform)).toEqual({ workers: 1, codes: [] });
      expect(read(3, listens, platform)).toEqual({ workers: 1, codes: ["workers_alone"] });
    },
  );
});

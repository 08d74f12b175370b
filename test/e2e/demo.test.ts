import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { recordingUpstream } from "../support/recording-upstream.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./claimgate.ts";

const TEST_LIMIT_MS = 30_000;

/** What the table must show, written out: request, status, code. */
const ROWS = [
  ["allowed", "GET /", "200", ""],
  ["no token", "GET /", "401", "token_missing"],
  ["expired", "GET /", "401", "token_expired"],
  ["wrong audience", "GET /", "401", "token_invalid"],
  ["forged", "GET /", "401", "token_invalid"],
  ["role missing", "GET /", "403", "policy_denied"],
  ["outside hours", "GET /books/", "403", "policy_denied"],
  ["WebSocket", "GET /live", "101", ""],
] as const;

const demoFolders = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith("claimgate-demo-"));

test(
  "demo --once: every request comes out as expected, and nothing is left behind",
  async () => {
    await using folder = await tempFolder();
    const before = await demoFolders();
    const { exitCode, out, err } = await run(["demo", "--once"], { folder: folder.path });
    expect(err).toBe("");
    expect(exitCode).toBe(0);
    const lines = out.split("\n");
    for (const [label, request, status, code] of ROWS) {
      const row = lines.find((line) => line.startsWith(`  ✓  ${label} `));
      expect(row, label).toBeDefined();
      expect(row?.replace(/ {2,}/g, "|")).toStartWith(
        `|✓|${label}|${request}|${[status, code].filter((cell) => cell !== "").join("|")}`,
      );
    }
    expect(out).not.toContain("✗");
    // No token, and no colour where there is no terminal.
    expect(out).not.toContain("eyJ");
    expect(out).not.toContain("\u001b");
    expect(await readdir(folder.path)).toEqual([]);
    expect((await demoFolders()).filter((name) => !before.includes(name))).toEqual([]);
  },
  TEST_LIMIT_MS,
);

test(
  "demo --once takes other ports where the usual ones are taken, but not for one asked for",
  async () => {
    await using folder = await tempFolder();
    await using taken = recordingUpstream();
    const { exitCode, err } = await run(["demo", "--once", "--port", String(taken.port)], {
      folder: folder.path,
    });
    expect(exitCode).toBe(1);
    expect(err).toContain(`cannot listen on 127.0.0.1:${taken.port}: another program does`);

    const two = await Promise.all([
      run(["demo", "--once"], { folder: folder.path }),
      run(["demo", "--once"], { folder: folder.path }),
    ]);
    expect(two.map((one) => ({ exitCode: one.exitCode, err: one.err }))).toEqual([
      { exitCode: 0, err: "" },
      { exitCode: 0, err: "" },
    ]);
  },
  TEST_LIMIT_MS,
);

import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { version } from "../../package.json";
import { runClaimgate } from "../support/run-claimgate.ts";

const cwd = tmpdir();

describe("claimgate version", () => {
  test.each([[["version"]], [["--version"]]])(
    "%p prints both versions in one line",
    async (args) => {
      const out = `claimgate ${version} (bun ${Bun.version})\n`;
      expect(await runClaimgate(args, { cwd })).toEqual({ exitCode: 0, out, err: "" });
    },
  );

  test("--json prints them as JSON", async () => {
    const { exitCode, out } = await runClaimgate(["version", "--json"], { cwd });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toEqual({ version, bun: Bun.version });
  });
});

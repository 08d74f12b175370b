import { describe, expect, test } from "bun:test";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const GOOD = {
  "--upstream": "http://127.0.0.1:9",
  "--issuer": "https://id.example.com",
  "--audience": "api",
  "--listen": "127.0.0.1:0",
};

/** `serve` with these flags, which must not hold. */
async function refused(flags: Readonly<Record<string, string>>): Promise<string> {
  await using folder = await tempFolder();
  const args = ["serve", ...Object.entries({ ...GOOD, ...flags }).flat()];
  const environment = { TMPDIR: folder.path };
  const { exitCode, out, err } = await runClaimgate(args, { cwd: folder.path, environment });
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  expect(err).not.toContain(folder.path);
  return err;
}

describe("serve without a file", () => {
  test.each([
    ["--upstream", "localhost", "upstream is not an http or https address"],
    ["--issuer", "id.example.com", "issuer is not an http or https address"],
    ["--issuer", "http://id.example.com", "issuer is plain http beyond this machine"],
    ["--audience", "", "an empty text"],
    ["--listen", "0.0.0.0:0", "plain HTTP beyond this machine"],
  ])("names the flag that does not hold: %s", async (flag, value, words) => {
    expect(await refused({ "--require": "a=b", [flag]: value })).toStartWith(
      `claimgate: ${flag}: ${words}`,
    );
  });

  test("names all that do not, one a line", async () => {
    const err = await refused({ "--upstream": "x", "--issuer": "y" });
    expect(err.match(/^claimgate: --\w+/gmu)).toEqual([
      "claimgate: --issuer",
      "claimgate: --upstream",
    ]);
  });
});

import { describe, expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { ansi, plain } from "../../src/cli/paint.ts";
import { formatFindings, reportFindings } from "../../src/cli/report-findings.ts";
import type { Finding } from "../../src/errors.ts";
import { tempFolder } from "../support/temp-folder.ts";

const finding = (over: Partial<Finding>): Finding => ({
  severity: "error",
  code: "key_unknown",
  message: "unknown key",
  file: "claimgate.yaml",
  line: 1,
  column: 1,
  ...over,
});

/** The findings' text with the folder cut out of the paths. */
async function shown(source: string, findings: readonly Partial<Finding>[], name = "c.yaml") {
  await using folder = await tempFolder({ [name]: source });
  const file = join(folder.path, name);
  const text = formatFindings(
    findings.map((over) => finding({ ...over, file })),
    plain,
  );
  return text.replaceAll(`${folder.path}/`, "");
}

describe("formatFindings()", () => {
  test("shows place, message, source line, the word marked, and the fix", async () => {
    const source = "routes:\n  - name: home\n    upsteam: echo\n";
    const problem = { line: 3, column: 5, message: 'unknown key "upsteam"', fix: "write upstream" };
    expect(await shown(source, [problem])).toBe(
      [
        'c.yaml:3:5  error  unknown key "upsteam"',
        "   3 |     upsteam: echo",
        "     |     ^^^^^^^",
        "       fix: write upstream",
        "",
        "1 error",
        "",
      ].join("\n"),
    );
  });

  test("counts errors and warnings apart", async () => {
    const warning = { severity: "warning" } as const;
    const text = await shown("a: 1\n", [{}, {}, warning]);
    expect(text.trimEnd().split("\n").at(-1)).toBe("2 errors, 1 warning");
  });

  test("marks a quoted value whole, and only a place where nothing stands", async () => {
    expect(await shown('listen: "a b" # x\n', [{ column: 9 }])).toContain(
      "\n     |         ^^^^^\n",
    );
    expect(await shown("listen:\n", [{ column: 8 }])).toContain("\n     |        ^\n");
  });

  test("puts the mark under wide characters and tabs", async () => {
    const source = "\tname: 漢字 x\n";
    expect(await shown(source, [{ column: 11 }])).toContain(
      "|  name: 漢字 x\n     |             ^\n",
    );
  });

  test("marks the first word of a line of which no column is known", async () => {
    expect(await shown("  - name: home\n", [{ column: 1 }])).toContain("\n     |   ^\n");
    expect(await shown('    { name: "x" }\n', [{ column: 1 }])).toContain("\n     |     ^\n");
  });

  test("says that a line goes on", async () => {
    const [, cut] = (await shown(`a: ${"b".repeat(200)}\n`, [{}])).split("\n");
    expect(cut).toBe(`   1 | a: ${"b".repeat(86)}…`);
    const [, whole] = (await shown(`a: ${"b".repeat(87)}\n`, [{}])).split("\n");
    expect(whole).toBe(`   1 | a: ${"b".repeat(87)}`);
  });

  test("cuts a long line to the part around the place", async () => {
    const source = `${"a".repeat(500)} here ${"b".repeat(500)}\n`;
    const lines = (await shown(source, [{ column: 502 }])).split("\n");
    expect(lines[1]?.length).toBeLessThan(100);
    const at = lines[2]?.indexOf("^") ?? 0;
    expect(lines[1]?.slice(at, at + 4)).toBe("here");
  });

  test.each<[what: string, source: string, line: number]>([
    ["a secret", "  clientSecret: hunter2\n", 1],
    ["a password", "  password: hunter2\n", 1],
    ["a token", "admin: { listen: x, token: hunter2 }\n", 1],
    ["a decryption key", 'decryptionKey: "hunter2"\n', 1],
    ["a key's block", "decryptionKey: |\n  hunter2\n", 2],
    ["a list of secrets", "session:\n  secret:\n    - hunter2\n", 3],
    ["a list at the key's own indent", "secret:\n- hunter2\n", 2],
    ["a password in an address", "store: redis://gate:hunter2@db\n", 1],
  ])("leaves the line of %s out", async (_, source, line) => {
    const text = await shown(source, [{ line, column: 1 }]);
    expect(text).not.toContain("hunter2");
    expect(text).toContain(`c.yaml:${line}:1  error  unknown key\n`);
  });

  test("keeps lines whose keys only resemble a secret's", async () => {
    expect(await shown("forwardToken: 1\n", [{}])).toContain("| forwardToken: 1");
    expect(await shown("tokenTypes: 1\n", [{}])).toContain("| tokenTypes: 1");
    expect(await shown("  token: 1,\n", [{}], "p.ts")).toContain("|   token: 1,");
  });

  test("folds messages and fixes to a terminal's width, below where they began", () => {
    const [message, fix] = ["one two three four five six", "seven eight nine ten eleven twelve"];
    const text = formatFindings([finding({ file: "/no", message, fix })], plain, 40);
    expect(text).toBe(
      [
        "/no:1:1  error  one two three four five",
        "                six",
        "       fix: seven eight nine ten eleven",
        "            twelve",
        "",
        "1 error",
        "",
      ].join("\n"),
    );
  });

  test("a place beyond the file, or a file that is not there, is told without a line", async () => {
    expect(await shown("a: 1\n", [{ line: 9 }])).toBe(
      "c.yaml:9:1  error  unknown key\n\n1 error\n",
    );
    const nowhere = formatFindings([finding({ file: "/nowhere/c.yaml" })], plain);
    expect(nowhere).toBe("/nowhere/c.yaml:1:1  error  unknown key\n\n1 error\n");
  });

  test("controls in messages and sources cannot paint the terminal", async () => {
    const text = await shown("a: \u001b[31mred\n", [
      { message: "bad\u001b[2J\nforged", fix: "x\r" },
    ]);
    expect(text).not.toContain("\u001b");
    expect(text).not.toContain("\r");
    expect(text).not.toContain("\nforged");
  });

  test("paints when asked to, and nothing else changes", async () => {
    const one = [finding({ file: "/nowhere" })];
    const painted = formatFindings(one, ansi);
    expect(painted).toContain("\u001b[31merror\u001b[0m");
    expect(Bun.stripANSI(painted)).toBe(formatFindings(one, plain));
  });
});

describe("reportFindings()", () => {
  test("writes on stderr, and nothing when there is nothing to say", () => {
    const written: string[] = [];
    const write = spyOn(process.stderr, "write").mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    try {
      reportFindings([]);
      expect(written).toEqual([]);
      reportFindings([finding({ file: "/nowhere" })]);
      expect(written.join("")).toContain("/nowhere:1:1");
    } finally {
      write.mockRestore();
    }
  });
});

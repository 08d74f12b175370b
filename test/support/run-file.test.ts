import { expect, test } from "bun:test";
import { runTestFile } from "./run-file.ts";
import { tempFolder } from "./temp-folder.ts";

async function run(body: string, limitMs?: number) {
  await using folder = await tempFolder();
  const text = `import { describe, expect, test } from "bun:test";\n${body}`;
  const file = await folder.write("sample.test.ts", text);
  const limit = limitMs === undefined ? {} : { limitMs };
  return await runTestFile(file, { cwd: folder.path, environment: { SAMPLE: "given" }, ...limit });
}

const counts = ({ passed, failed, skipped }: Awaited<ReturnType<typeof run>>) => ({
  passed,
  failed,
  skipped,
});

test("counts passed, failed and skipped, and names the skipped", async () => {
  const result = await run(`
    test("good", () => expect(process.env.SAMPLE).toBe("given"));
    test("bad", () => expect(1).toBe(2));
    test.todo("later");
    describe.skipIf(true)("out <er> (needs \\"x\\")", () => {
      describe("inner", () => { test("a & b", () => {}); });
    });`);
  expect(counts(result)).toEqual({
    passed: 1,
    failed: 1,
    skipped: ["later", 'out <er> (needs "x") > inner > a & b'],
  });
  expect(result.output).toContain("Expected: 2");
});

test.each([
  [
    "an exit in the middle, though its code is 0",
    `test("good", () => {}); test("bye", () => process.exit(0));`,
  ],
  ["an error at load", `throw new Error("at load");`],
  ["no test at all", ``],
])("counts %s as a failure", async (_, body) => {
  expect(counts(await run(body))).toEqual({ passed: 0, failed: 1, skipped: [] });
});

test("counts a hook that fails after the last test as a failure", async () => {
  const result = await run(`
    import { afterAll } from "bun:test";
    test("good", () => {});
    afterAll(() => { throw new Error("late"); });`);
  expect(result.failed).toBe(1);
});

test("ends a file that does not end, with what it started", async () => {
  const result = await run(
    `
    test("loops", () => {
      const child = Bun.spawn([process.execPath, "-e", "setTimeout(() => {}, 1e6)"]);
      console.log("child=" + child.pid + ";");
      for (;;);
    });`,
    1_000,
  );
  expect(counts(result)).toEqual({ passed: 0, failed: 1, skipped: [] });
  expect(result.output).toContain("took longer than 1000 ms");
  const pid = Number(/child=(\d+);/.exec(result.output)?.[1]);
  expect(await isGone(pid)).toBe(true);
});

/** A killed process stays for a moment, until its new parent has looked. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    const status = Bun.file(`/proc/${pid}/stat`);
    if (!(await status.exists()) || (await status.text()).includes(") Z ")) return true;
    await Bun.sleep(10);
  }
  return false;
}

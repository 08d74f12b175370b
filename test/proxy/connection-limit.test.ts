import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MODULE = join(import.meta.dir, "../../src/proxy/connection-limit.ts");

/** Opens 300 requests that are never answered, and says how many reached the upstream. */
const PROGRAM = `
  import { raiseConnectionLimit } from ${JSON.stringify(MODULE)};
  const before = process.pid;
  raiseConnectionLimit();
  let opened = 0;
  const all = Promise.withResolvers();
  const upstream = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: {
    data() { opened += 1; if (opened === 300) all.resolve(); },
  } });
  for (let count = 0; count < 300; count += 1) {
    fetch(\`http://127.0.0.1:\${upstream.port}/\`).catch(() => {});
  }
  await Promise.race([all.promise, Bun.sleep(Number(process.env.LIMIT_MS ?? 5_000))]);
  console.log(JSON.stringify({ opened, args: process.argv.slice(2), flags: process.execArgv, pid: before }));
  process.exit(0);
`;

async function run(command: readonly string[], environment: Record<string, string> = {}) {
  const { BUN_CONFIG_MAX_HTTP_REQUESTS: _, ...ours } = process.env;
  const child = Bun.spawn([...command], { env: { ...ours, ...environment }, stdout: "pipe" });
  return { started: child.pid, ...JSON.parse(await child.stdout.text()) };
}

async function withProgram(body: (file: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "claimgate-"));
  try {
    const file = join(folder, "program.ts");
    await Bun.write(file, PROGRAM);
    await body(file, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe("raiseConnectionLimit()", () => {
  test("lets more than 256 requests be under way, with arguments, flags and process id kept", () =>
    withProgram(async (file) => {
      const flag = "--max-http-header-size=65536";
      const result = await run([process.execPath, flag, file, "serve", "--a", "b c"]);
      expect(result).toMatchObject({ opened: 300, args: ["serve", "--a", "b c"], flags: [flag] });
      expect(result.pid).toBe(result.started);
    }));

  test("does the same for the compiled executable", () =>
    withProgram(async (file, folder) => {
      const outfile = join(folder, "program");
      const build = Bun.spawn(
        [process.execPath, "build", "--compile", file, "--outfile", outfile],
        {
          stdout: "ignore",
          stderr: "ignore",
        },
      );
      expect(await build.exited).toBe(0);
      expect(await run([outfile, "serve", "--a", "b c"])).toMatchObject({
        opened: 300,
        args: ["serve", "--a", "b c"],
      });
    }));

  test("leaves the owner's own limit alone", () =>
    withProgram(async (file) => {
      const environment = { BUN_CONFIG_MAX_HTTP_REQUESTS: "20", LIMIT_MS: "500" };
      expect(await run([process.execPath, file], environment)).toMatchObject({ opened: 20 });
    }));
});

/**
 * Makes the executable: `bun run build [--target bun-linux-arm64] [--outfile PATH]`.
 *
 * @module
 */
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../package.json";

const ROOT = join(import.meta.dir, "../..");

const FLAGS = [
  "--compile",
  "--format=esm", // --bytecode needs it
  "--bytecode", // starts in milliseconds: nothing is parsed
  // Every entrypoint lies at the top of the executable: `new URL("./x.ts", import.meta.url)` finds
  // a worker there as it does beside the source that starts it.
  "--entry-naming=[name].[ext]",
  "--minify",
  "--sourcemap", // stacks name the source's lines
  // Else the executable would read .env and bunfig.toml of whatever folder it is started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  // Above our own bound on headers, so that too large ones get our answer and not a bare 431.
  "--compile-exec-argv=--max-http-header-size=65536",
] as const;

/** Main first, then each module that runs as a Worker: the bundler does not find those itself. */
const ENTRYPOINTS = ["src/main.ts", "src/store/sqlite-worker.ts"] as const;

/**
 * @param options `outfile` is absolute; `target` is one of Bun's, this machine's when left out.
 * @throws Error with the bundler's words.
 */
export async function buildExecutable(options: {
  readonly outfile: string;
  readonly target?: string | undefined;
}): Promise<void> {
  const target = options.target === undefined ? [] : [`--target=${options.target}`];
  const outfile = `--outfile=${options.outfile}`;
  const child = Bun.spawn(
    [process.execPath, "build", ...FLAGS, ...target, ...ENTRYPOINTS, outfile],
    { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`Cannot build src/main.ts:\n${out}${error}`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { target: { type: "string" }, outfile: { type: "string" } },
  });
  const outfile = values.outfile ?? join(ROOT, "dist/claimgate");
  await buildExecutable({ outfile, target: values.target });
  const megabytes = Math.round(Bun.file(outfile).size / 1024 ** 2);
  console.log(`${relative(process.cwd(), outfile)}  ${version}  ${megabytes} MB`);
}

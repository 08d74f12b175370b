/**
 * An npm registry (verdaccio) behind the gate, driven by npm.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import type { TempFolder } from "../support/temp-folder.ts";
import {
  type App,
  type AppGate,
  answers,
  endAll,
  STAGE_LIMIT_MS,
  startApp,
  startAppGate,
  TEST_LIMIT_MS,
} from "./app-stage.ts";
import { installNpm, npmFile } from "./npm-packages.ts";

/** Asks nobody who they are, and knows of no other registry: who may publish is the gate's to say. */
const VERDACCIO = `storage: ./storage
auth: { htpasswd: { file: ./htpasswd, max_users: -1 } }
packages: { "**": { access: $all, publish: $all, unpublish: $all } }
log: { type: stdout, format: json, level: warn }
`;

const NPM_LIMIT_MS = 20_000;

let folder: TempFolder;
let registry: App;
let gate: AppGate;
let strict: AppGate;

beforeAll(async () => {
  folder = await installNpm({
    dependencies: { verdaccio: "6.10.4", npm: "10.9.4" },
    overrides: { "node-fetch": "2.7.0" },
  });
  await folder.write("verdaccio.yaml", VERDACCIO);
  const port = freePort();
  const address = `127.0.0.1:${port}`;
  const verdaccio = npmFile(folder, "verdaccio/bin/verdaccio");
  registry = await startApp(
    [process.execPath, verdaccio, "-c", `${folder.path}/verdaccio.yaml`, "-l", address],
    { cwd: folder.path, isUp: answers(`http://${address}/-/ping`) },
  );
  const config = (more: string) => `routes:
  - name: npm
    match: { path: /* }
    upstream: http://${address}
    anyAuthenticated: true
    preserveHost: true
${more}`;
  gate = await startAppGate(config("    ambiguousPaths: allow\n"));
  strict = await startAppGate(config(""));
}, STAGE_LIMIT_MS);

afterAll(() => endAll([folder, registry, gate, strict]));

type Ended = { readonly exitCode: number; readonly out: string; readonly err: string };

/** npm as a user has it, with a home of its own whose `.npmrc` names the registry and the token. */
async function npm(
  from: { readonly origin: string; readonly token?: string },
  name: string,
  ...args: readonly string[]
): Promise<Ended> {
  const { host } = new URL(from.origin);
  const token = from.token === undefined ? "" : `//${host}/:_authToken=${from.token}\n`;
  const rc = `registry=${from.origin}/\n${token}update-notifier=false\nfetch-retries=0\n`;
  const userConfig = await folder.write("home/.npmrc", rc);
  const child = Bun.spawn([process.execPath, npmFile(folder, "npm/bin/npm-cli.js"), ...args], {
    cwd: `${folder.path}/${name}`,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: `${folder.path}/home`,
      npm_config_userconfig: userConfig,
      npm_config_cache: `${folder.path}/home/cache-${name}`,
      npm_config_globalconfig: `${folder.path}/home/none`,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: NPM_LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const [out, err, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, out, err };
}

describe("an npm registry", () => {
  test(
    "a scoped package is published, found and installed, with the gate's token alone",
    async () => {
      const manifest = { name: "@acme/hello", version: "1.2.3", main: "hello.js" };
      await folder.write("hello/package.json", JSON.stringify(manifest));
      await folder.write("hello/hello.js", `module.exports = "hello";\n`);
      const published = await npm(gate, "hello", "publish", "--access", "public");
      expect(published).toMatchObject({ exitCode: 0, out: "+ @acme/hello@1.2.3\n" });

      await folder.write("user/package.json", "{}");
      const viewed = await npm(gate, "user", "view", "@acme/hello", "dist.tarball");
      expect(viewed).toMatchObject({
        exitCode: 0,
        out: `${gate.origin}/@acme/hello/-/hello-1.2.3.tgz\n`,
      });
      const installed = await npm(gate, "user", "install", "@acme/hello");
      expect(installed).toMatchObject({ exitCode: 0 });
      const file = Bun.file(`${folder.path}/user/node_modules/@acme/hello/hello.js`);
      expect(await file.text()).toBe(`module.exports = "hello";\n`);
      const lock = await Bun.file(`${folder.path}/user/package-lock.json`).json();
      expect(lock.packages["node_modules/@acme/hello"]).toMatchObject({
        version: "1.2.3",
        resolved: `${gate.origin}/@acme/hello/-/hello-1.2.3.tgz`,
      });
    },
    TEST_LIMIT_MS,
  );

  test(
    "a tag is moved and a version taken back",
    async () => {
      const tagged = await npm(gate, "hello", "dist-tag", "add", "@acme/hello@1.2.3", "stable");
      expect(tagged).toMatchObject({ exitCode: 0 });
      const viewed = await npm(gate, "hello", "view", "@acme/hello", "dist-tags.stable");
      expect(viewed).toMatchObject({ exitCode: 0, out: "1.2.3\n" });
      const taken = await npm(gate, "hello", "unpublish", "--force", "@acme/hello");
      expect(taken).toMatchObject({ exitCode: 0 });
      const gone = await npm(gate, "hello", "view", "@acme/hello", "version");
      expect(gone.err).toContain("E404");
    },
    TEST_LIMIT_MS,
  );

  test(
    "without a token npm is told to log in",
    async () => {
      await folder.write("stranger/package.json", "{}");
      const ended = await npm({ origin: gate.origin }, "stranger", "view", "@acme/hello");
      expect(ended.exitCode).not.toBe(0);
      expect(ended.err).toContain("E401");
    },
    TEST_LIMIT_MS,
  );

  test(
    "npm writes scoped names with %2f, which a route refuses that does not allow it",
    async () => {
      await folder.write("refused/package.json", "{}");
      const ended = await npm(strict, "refused", "view", "@acme/hello");
      expect(ended.exitCode).not.toBe(0);
      expect(ended.err).toContain("E400");
    },
    TEST_LIMIT_MS,
  );
});

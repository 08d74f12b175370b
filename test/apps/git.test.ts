/**
 * A git server over smart HTTP behind the gate (git http-backend, fcgiwrap, nginx), driven by git.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomFillSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import {
  type App,
  type AppGate,
  endAll,
  STAGE_LIMIT_MS,
  startApp,
  startAppGate,
  TEST_LIMIT_MS,
} from "./app-stage.ts";
import { startNginx } from "./nginx.ts";

const MB = 1024 * 1024;
const FILES = 10;
const FILE_BYTES = 5 * MB;

const server = (folder: string) => `location / {
      fastcgi_pass unix:${folder}/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT ${folder}/repositories;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
      fastcgi_param REMOTE_USER $http_x_user;
      fastcgi_param HOME ${folder};
      fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_buffering off;
    }`;

const config = (upstream: string, maxBodySize: string) => `http: { maxBodySize: ${maxBodySize} }
routes:
  - name: git
    match: { path: /*, methods: [GET, POST] }
    upstream: ${upstream}
    anyAuthenticated: true
    identityHeaders: { X-User: sub }
`;

describeWith(["git", "nginx", "fcgiwrap"], "git over smart HTTP", () => {
  let folder: TempFolder;
  let fcgi: App;
  let nginx: App & { readonly url: string };
  let gate: AppGate;
  let narrow: AppGate;

  /** Git as a user has it, but for what this machine's user has set. */
  async function git(
    cwd: string,
    ...args: readonly string[]
  ): Promise<{ readonly exitCode: number; readonly out: string; readonly err: string }> {
    const child = Bun.spawn([findProgram("git") ?? "git", ...args], {
      cwd,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: folder.path,
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_TERMINAL_PROMPT: "0",
        LC_ALL: "C",
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: TEST_LIMIT_MS,
      killSignal: "SIGKILL",
    });
    const [out, err, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { exitCode, out, err };
  }

  async function gitOk(cwd: string, ...args: readonly string[]): Promise<string> {
    const { exitCode, out, err } = await git(cwd, ...args);
    if (exitCode !== 0) throw new Error(`git ${args.join(" ")} ended with ${exitCode}: ${err}`);
    return out.trim();
  }

  const bearer = (of: AppGate) => ["-c", `http.extraHeader=Authorization: Bearer ${of.token}`];

  async function writeRepository(path: string): Promise<void> {
    await mkdir(path);
    for (let index = 0; index < FILES; index++) {
      // Noise, so that it stays as large as it is.
      await Bun.write(`${path}/part-${index}.bin`, randomFillSync(new Uint8Array(FILE_BYTES)));
    }
    await gitOk(path, "init", "-q", "-b", "main");
    await gitOk(path, "add", ".");
    await gitOk(path, "commit", "-q", "-m", "Fifty megabytes");
  }

  beforeAll(async () => {
    folder = await tempFolder({
      ".gitconfig":
        "[user]\nname = Test\nemail = test@localhost\n[core]\ncompression = 0\nbigFileThreshold = 1m\n",
    });
    const { path } = folder;
    const bare = `${path}/repositories/large.git`;
    await gitOk(path, "init", "-q", "--bare", "-b", "main", bare);
    await gitOk(bare, "config", "core.logAllRefUpdates", "true");
    await writeRepository(`${path}/work`);
    fcgi = await startApp([findProgram("fcgiwrap") ?? "fcgiwrap", "-s", `unix:${path}/fcgi.sock`], {
      cwd: path,
      environment: { HOME: path },
      isUp: () => existsSync(`${path}/fcgi.sock`),
    });
    nginx = await startNginx(server(path), path);
    gate = await startAppGate(config(nginx.url, "100MB"));
    narrow = await startAppGate(config(nginx.url, "10MB"));
  }, STAGE_LIMIT_MS);

  afterAll(() => endAll([folder, fcgi, nginx, gate, narrow]));

  test(
    "a push larger than maxBodySize is refused, which git tells",
    async () => {
      const address = `${narrow.origin}/large.git`;
      const pushed = await git(`${folder.path}/work`, ...bearer(narrow), "push", address, "main");
      expect(pushed.exitCode).not.toBe(0);
      expect(pushed.err).toContain("HTTP 413");
      const heads = await gitOk(
        folder.path,
        ...bearer(gate),
        "ls-remote",
        `${gate.origin}/large.git`,
      );
      expect(heads).toBe("");
    },
    TEST_LIMIT_MS,
  );

  test(
    "fifty megabytes are pushed and cloned, whole",
    async () => {
      const { path } = folder;
      const address = `${gate.origin}/large.git`;
      await gitOk(`${path}/work`, ...bearer(gate), "push", "-q", address, "main");
      await gitOk(path, ...bearer(gate), "clone", "-q", address, "clone");
      await gitOk(`${path}/clone`, "fsck", "--full");
      const head = await gitOk(`${path}/work`, "rev-parse", "HEAD");
      expect(await gitOk(`${path}/clone`, "rev-parse", "HEAD")).toBe(head);
      const sizes = await gitOk(`${path}/clone`, "ls-tree", "-l", "HEAD");
      expect(sizes.match(/ 5242880\t/g)).toHaveLength(FILES);
      // Told by the gate, and written down by the server.
      const log = await Bun.file(`${path}/repositories/large.git/logs/refs/heads/main`).text();
      expect(log).toContain(" alice <alice@http.127.0.0.1> ");
    },
    TEST_LIMIT_MS,
  );

  test(
    "a second push and a fetch bring what is new",
    async () => {
      const { path } = folder;
      await Bun.write(`${path}/work/README`, "More\n");
      await gitOk(`${path}/work`, "add", "README");
      await gitOk(`${path}/work`, "commit", "-q", "-m", "More");
      const address = `${gate.origin}/large.git`;
      await gitOk(`${path}/work`, ...bearer(gate), "push", "-q", address, "main");
      await gitOk(`${path}/clone`, ...bearer(gate), "pull", "-q", address, "main");
      expect(await Bun.file(`${path}/clone/README`).text()).toBe("More\n");
    },
    TEST_LIMIT_MS,
  );

  test(
    "without a token git asks for a name, and there is nothing to clone",
    async () => {
      const cloned = await git(folder.path, "clone", `${gate.origin}/large.git`, "none");
      expect(cloned.exitCode).not.toBe(0);
      expect(cloned.err).toContain("could not read Username");
    },
    TEST_LIMIT_MS,
  );
});

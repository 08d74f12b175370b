/**
 * A WebDAV server (nginx with its dav modules) behind the gate, driven by npm's `webdav`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createClient, type FileStat, type WebDAVClient } from "webdav";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import {
  type App,
  type AppGate,
  endAll,
  STAGE_LIMIT_MS,
  startAppGate,
  TEST_LIMIT_MS,
} from "./app-stage.ts";
import { startNginx } from "./nginx.ts";

const server = (root: string) => `location / {
      root ${root};
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS;
      create_full_put_path on;
    }`;

const MODULE = "libnginx-mod-http-dav-ext";

describeWith(["nginx", "libnginx-mod-http-dav-ext"], "WebDAV", () => {
  let folder: TempFolder;
  let nginx: App & { readonly url: string };
  let gate: AppGate;
  let other: AppGate;

  beforeAll(async () => {
    folder = await tempFolder();
    await mkdir(`${folder.path}/files`);
    const load = `load_module ${findProgram(MODULE)};`;
    nginx = await startNginx(server(`${folder.path}/files`), folder.path, load);
    const config = (more: string) => `routes:
  - name: files
    match: { path: /* }
    upstream: ${nginx.url}
    anyAuthenticated: true
${more}`;
    gate = await startAppGate(config("    preserveHost: true\n"));
    other = await startAppGate(config(""));
  }, STAGE_LIMIT_MS);

  afterAll(() => endAll([folder, nginx, gate, other]));

  /** By another name than the upstream's, as it is everywhere but on one machine. */
  function connect(of: AppGate, token = of.token): WebDAVClient {
    return createClient(of.origin.replace("127.0.0.1", "localhost"), {
      headers: { Authorization: `Bearer ${token}` },
    });
  }

  const names = (found: readonly FileStat[]) => found.map(({ filename }) => filename).sort();

  test(
    "files and folders are made, listed, copied, moved and removed",
    async () => {
      const client = connect(gate);
      await client.createDirectory("/plans");
      await client.putFileContents("/plans/über uns.txt", "first");
      await client.putFileContents("/plans/large.bin", Buffer.alloc(5_000_000, 7));
      const list = (await client.getDirectoryContents("/plans")) as FileStat[];
      expect(names(list)).toEqual(["/plans/large.bin", "/plans/über uns.txt"]);
      expect(list.map(({ size }) => size).sort()).toEqual([5, 5_000_000]);

      // nginx knows a folder by its final slash.
      await client.copyFile("/plans/", "/copies/");
      await client.moveFile("/copies/über uns.txt", "/copies/uns.txt");
      const copies = (await client.getDirectoryContents("/copies")) as FileStat[];
      expect(names(copies)).toEqual(["/copies/large.bin", "/copies/uns.txt"]);
      expect(await client.getFileContents("/copies/uns.txt", { format: "text" })).toBe("first");

      await client.deleteFile("/plans/");
      expect(await client.exists("/plans")).toBe(false);
      expect(existsSync(`${folder.path}/files/copies/uns.txt`)).toBe(true);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a part of a file is read",
    async () => {
      const client = connect(gate);
      await client.putFileContents("/part.txt", "0123456789");
      const part = client.createReadStream("/part.txt", { range: { start: 2, end: 5 } });
      expect(await new Response(part as unknown as AsyncIterable<Uint8Array>).text()).toBe("2345");
    },
    TEST_LIMIT_MS,
  );

  test(
    "where to copy is an address of the gate: a server that is told another Host refuses",
    async () => {
      const client = connect(other);
      await client.putFileContents("/here.txt", "text");
      const refused = await client.copyFile("/here.txt", "/there.txt").catch((error) => error);
      expect(refused).toMatchObject({ status: 400 });
      expect(existsSync(`${folder.path}/files/there.txt`)).toBe(false);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a copy to another folder than the route's passes, unless a policy looks at Destination",
    async () => {
      const page = await Bun.file(join(import.meta.dir, "../../docs/applications.md")).text();
      const policy = page.match(/^```ts\n(import .*?)^```$/ms)?.[1] ?? "";
      const config = (rule: string) => `routes:
  - name: plans
    match: { path: /plans/* }
    upstream: ${nginx.url}
    preserveHost: true
    ${rule}
`;
      await using open = await startAppGate(config("anyAuthenticated: true"));
      await using kept = await startAppGate(config("policies: [keep-within]"), {
        "policies/keep-within.ts": policy,
      });
      const plan = "/plans/plan.txt";
      await connect(open).putFileContents(plan, "text");
      await connect(open).copyFile(plan, "/elsewhere-1.txt");
      expect(existsSync(`${folder.path}/files/elsewhere-1.txt`)).toBe(true);

      const refused = await connect(kept)
        .copyFile(plan, "/elsewhere-2.txt")
        .catch((error) => error);
      expect(refused).toMatchObject({ status: 403 });
      expect(existsSync(`${folder.path}/files/elsewhere-2.txt`)).toBe(false);
      await connect(kept).copyFile(plan, "/plans/copy.txt");
      expect(existsSync(`${folder.path}/files/plans/copy.txt`)).toBe(true);
    },
    TEST_LIMIT_MS,
  );

  test("without a good token it is 401", async () => {
    const refused = await connect(gate, "none")
      .getDirectoryContents("/")
      .catch((error) => error);
    expect(refused).toMatchObject({ status: 401 });
  });
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, run, serve, until } from "./claimgate.ts";

const ROOT = join(import.meta.dir, "../..");
const EXAMPLE = join(ROOT, "docs/examples/real-web-server");
const START_LIMIT_MS = 15_000;

type Ports = { readonly nginx: number; readonly provider: number };

/** The example as it stands, but for its ports. */
async function copyExample({ nginx, provider }: Ports): Promise<TempFolder> {
  const folder = await tempFolder();
  await cp(EXAMPLE, folder.path, { recursive: true });
  for (const name of ["claimgate.yaml", "nginx.conf"]) {
    const text = await Bun.file(join(EXAMPLE, name)).text();
    const replaced = text
      .replaceAll("127.0.0.1:8080", "127.0.0.1:0")
      .replaceAll("127.0.0.1:9000", `127.0.0.1:${nginx}`)
      .replaceAll("127.0.0.1:9400", `127.0.0.1:${provider}`);
    await folder.write(name, replaced);
  }
  return folder;
}

describeWith("nginx", "the example with a real web server", () => {
  const ports = { nginx: freePort(), provider: freePort() };
  const children: Bun.Subprocess[] = [];
  let folder: TempFolder;
  let gate: RunningServe;
  let bearer: string;

  /** Like the page: a server in the foreground, in the example's folder. */
  function start(command: readonly string[], cwd: string): void {
    const child = Bun.spawn([...command], {
      cwd,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    children.push(child);
  }

  const answers = (url: string) => async () => {
    const answer = await fetch(url).catch(() => undefined);
    return answer !== undefined;
  };

  beforeAll(async () => {
    folder = await copyExample(ports);
    const asRoot = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
    const nginx = findProgram("nginx") ?? "nginx";
    start([nginx, "-p", ".", "-e", "stderr", "-c", "nginx.conf", ...asRoot], folder.path);
    // Where its imports are found; the example stands in a clone.
    start([process.execPath, join(EXAMPLE, "provider.ts"), String(ports.provider)], ROOT);
    const provider = `http://127.0.0.1:${ports.provider}`;
    await until("nginx", START_LIMIT_MS, answers(`http://127.0.0.1:${ports.nginx}/`));
    await until("the provider", START_LIMIT_MS, answers(`${provider}/jwks`));

    expect(await run(["check"], { folder: folder.path })).toMatchObject({ exitCode: 0, err: "" });
    gate = await serve([], { folder: folder.path });
    const answer = await fetch(`${provider}/token`, {
      method: "POST",
      headers: { Authorization: `Basic ${btoa("report-reader:for-this-example-only")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", scope: "reports:read" }),
    });
    const { access_token } = (await answer.json()) as { access_token: string };
    bearer = `Bearer ${access_token}`;
    await until("the issuer's keys", START_LIMIT_MS, async () => {
      return (await get("/reports/q3.txt")).status !== 503;
    });
  }, 60_000);

  afterAll(async () => {
    await gate?.[Symbol.asyncDispose]();
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.exited));
    await folder?.[Symbol.asyncDispose]();
  });

  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(`${gate.urls[0]}${path}`, { method, headers: { Authorization: bearer, ...headers } });

  test("the welcome page is public", async () => {
    const answer = await fetch(`${gate.urls[0]}/`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toStartWith("text/html");
    expect(await answer.text()).toBe(await Bun.file(join(EXAMPLE, "site/index.html")).text());
  });

  test("a report without a token is 401", async () => {
    const answer = await fetch(`${gate.urls[0]}/reports/q3.txt`);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ code: "token_missing" });
  });

  test("a report with one is nginx's own answer, told who asks and not the token", async () => {
    const answer = await get("/reports/q3.txt", { "X-User": "somebody else" });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe("Q3: revenue up 12 percent\n");
    expect(answer.headers.get("content-type")).toStartWith("text/plain");
    expect(answer.headers.get("server")).toStartWith("nginx");
    expect(answer.headers.get("x-seen-user")).toBe("report-reader");
    expect(answer.headers.has("x-seen-authorization")).toBe(false);
  });

  test("a draft is 403, whatever the way to write its name", async () => {
    for (const path of [
      "/reports/q4.draft.txt",
      "/reports/q4%2Edraft.txt",
      "/reports/./q4.draft.txt",
    ]) {
      const answer = await get(path);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: "policy_denied" });
    }
    await gate.waitForLog(({ reason, policy }) => {
      return reason === "still_a_draft" && policy === "no-drafts";
    });
  });

  test("another method is 405", async () => {
    const answer = await get("/reports/q3.txt", {}, "DELETE");
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  });

  test("HEAD has the length and no body", async () => {
    const answer = await get("/reports/q3.txt", {}, "HEAD");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-length")).toBe("26");
    expect(await answer.text()).toBe("");
  });

  test("a range comes as a part", async () => {
    const answer = await get("/reports/q3.txt", { Range: "bytes=4-10" });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("content-range")).toBe("bytes 4-10/26");
    expect(await answer.text()).toBe("revenue");
  });

  test("what has not changed is 304", async () => {
    const first = await get("/reports/q3.txt");
    const etag = first.headers.get("etag") ?? "";
    expect(etag).not.toBe("");
    const again = await get("/reports/q3.txt", { "If-None-Match": etag });
    expect(again.status).toBe(304);
    expect(again.headers.get("etag")).toBe(etag);
    expect(await again.text()).toBe("");
  });

  test("nginx's own redirects and errors pass untouched", async () => {
    const missing = await get("/reports/none.txt");
    expect(missing.status).toBe(404);
    expect(await missing.text()).toContain("nginx");
    const listing = await get("/reports/");
    expect(await listing.text()).toContain("q3.txt");
  });

  test("nothing else is served", async () => {
    const answer = await get("/index.html");
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "route_not_found" });
  });
});

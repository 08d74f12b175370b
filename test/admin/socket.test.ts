/** The socket's file: what may be replaced, and what may not. */
import { describe, expect, test } from "bun:test";
import { lstatSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { openAdmin } from "../../src/admin/api.ts";
import { clearSocket, openOwnSocket } from "../../src/admin/socket.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { openAdminGate } from "./admin-gate.ts";

/** Leaves a socket file behind, as a gate does that was killed. */
async function leaveSocket(path: string): Promise<void> {
  const code = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response() }); process.kill(process.pid, "SIGKILL")`;
  await Bun.spawn([process.execPath, "-e", code], { stdio: ["ignore", "ignore", "ignore"] }).exited;
}

describe("clearSocket()", () => {
  test("removes what a dead gate has left", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "s.sock");
    await leaveSocket(path);
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(await clearSocket(path)).toBe("free");
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("leaves a live one alone", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "s.sock");
    const server = Bun.serve({ unix: path, fetch: () => new Response() });
    expect(await clearSocket(path)).toBe("held");
    expect(lstatSync(path).isSocket()).toBe(true);
    await server.stop(true);
  });

  test("touches nothing that is no socket", async () => {
    await using folder = await tempFolder({ "s.sock": "mine" });
    const path = join(folder.path, "s.sock");
    await expect(clearSocket(path)).rejects.toMatchObject({ code: "port_taken" });
    const link = join(folder.path, "link.sock");
    symlinkSync(path, link);
    await expect(clearSocket(link)).rejects.toMatchObject({ code: "port_taken" });
    expect(await Bun.file(path).text()).toBe("mine");
  });
});

describe("openOwnSocket()", () => {
  test("has mode 0600 whatever the process's mask, and puts that back", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "s.sock");
    const before = process.umask(0);
    try {
      let early = 0;
      const { server, remove } = openOwnSocket(path, () => {
        const opened = Bun.serve({ unix: path, fetch: () => new Response() });
        early = lstatSync(path).mode & 0o077;
        return opened;
      });
      expect(early).toBe(0);
      expect(lstatSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask()).toBe(0);
      remove();
      await server.stop(true);
    } finally {
      process.umask(before);
    }
  });

  test("removes only what is its own", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "s.sock");
    const serve = () => Bun.serve({ unix: path, fetch: () => new Response() });
    const first = openOwnSocket(path, serve);
    first.remove();
    const second = openOwnSocket(path, serve);
    first.remove();
    expect(lstatSync(path).isSocket()).toBe(true);
    second.remove();
    await first.server.stop(true);
    await second.server.stop(true);
  });
});

describe("openAdmin()", () => {
  test("replaces a dead gate's socket", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "dead.sock");
    await leaveSocket(path);
    await using gate = await openAdminGate({ listen: { kind: "unix", path } });
    expect((await gate.ask("/v1/routes")).status).toBe(200);
  });

  test("leaves a live gate's, says so, and takes over once that has ended", async () => {
    await using gate = await openAdminGate();
    const { gate: running, reload } = gate.running;
    const path = join(gate.folder.path, "test.sock");
    const second = await openAdmin(running, {
      config: () => ({ ...running.site.config, admin: { listen: { kind: "unix", path } } }),
      store: running.ledger.store,
      reload,
      version: "second",
    });
    expect(gate.log.join()).toContain("another gate has the admin socket");
    const versionNow = async () => {
      const answer = await gate.ask("/openapi.json").catch(() => undefined);
      const page = (await answer?.json()) as { info: { version: string } } | undefined;
      return page?.info.version;
    };
    expect(await versionNow()).toBe("1.2.3");
    await gate.api.close();
    const end = performance.now() + 10_000;
    while ((await versionNow()) !== "second" && performance.now() < end) await Bun.sleep(50);
    expect(await versionNow()).toBe("second");
    await second.close();
  });

  test("says of a port that is taken where", async () => {
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port = 0 } = other;
    const listen = { kind: "tcp", hostname: "127.0.0.1", port } as const;
    const opening = openAdminGate({ listen, token: "a-long-enough-admin-token-000000" });
    await expect(opening).rejects.toMatchObject({ code: "port_taken" });
  });
});

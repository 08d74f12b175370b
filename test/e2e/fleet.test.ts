import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { compiledExecutable } from "../support/executable.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, until } from "./claimgate.ts";

const EXAMPLE = join(import.meta.dir, "../../docs/examples/fleet");
const START_LIMIT_MS = 30_000;
const GATES = [8081, 8082, 8083];

/** The example as it stands, but for its ports, and a limit that does not refill meanwhile. */
async function copyExample(ports: ReadonlyMap<number, number>): Promise<TempFolder> {
  const folder = await tempFolder();
  await cp(EXAMPLE, folder.path, { recursive: true });
  for (const name of ["claimgate.yaml", "haproxy.cfg", "fleet.sh"]) {
    let text = await Bun.file(join(EXAMPLE, name)).text();
    for (const [shown, free] of ports) text = text.replaceAll(String(shown), String(free));
    await folder.write(name, text.replace("per: 1m", "per: 24h"));
  }
  await chmod(join(folder.path, "fleet.sh"), 0o755);
  return folder;
}

describeWith("redis-server", "the example of a fleet", () => {
  describeWith("haproxy", "behind a load balancer", () => {
    const ports = new Map([6390, 8080, ...GATES].map((shown) => [shown, freePort()]));
    const at = (shown: number) => `http://127.0.0.1:${ports.get(shown)}/`;
    let folder: TempFolder;
    let fleet: Bun.Subprocess;

    const get = (url: string, token: string) =>
      fetch(url, { headers: { Authorization: `Bearer ${token}` } });
    const statusAt = async (shown: number, token: string) =>
      (await get(at(shown), token).catch(() => undefined))?.status;

    beforeAll(async () => {
      folder = await copyExample(ports);
      const executable = await compiledExecutable();
      fleet = Bun.spawn(["sh", "fleet.sh"], {
        cwd: folder.path,
        env: {
          ...process.env,
          CLAIMGATE: executable,
          PATH: `${process.env.PATH}:${dirname(executable)}`,
        },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      for (const shown of [8080, ...GATES]) {
        await until(
          `port ${shown}`,
          START_LIMIT_MS,
          async () => (await statusAt(shown, "")) === 401,
        );
      }
    }, 60_000);

    afterAll(async () => {
      fleet?.kill("SIGTERM");
      await fleet?.exited;
      await folder?.[Symbol.asyncDispose]();
    });

    test("the limit of a subject holds over all gates, to the request", async () => {
      const token = await developmentToken(folder.path, "--sub", "bob", "--claim", "roles=staff");
      const answers = await Promise.all(Array.from({ length: 30 }, () => get(at(8080), token)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(10);
    });

    test("what one gate saw of a token and what the others saw is added up", async () => {
      const token = await developmentToken(folder.path, "--sub", "carol", "--claim", "roles=staff");
      for (const shown of GATES) expect(await statusAt(shown, token)).toBe(200);
      let listed: readonly { readonly requests: number }[] = [];
      await until("three requests of carol", 10_000, async () => {
        const { out } = await run(["tokens", "--subject", "carol", "--json"], {
          folder: folder.path,
        });
        listed = JSON.parse(out);
        return listed[0]?.requests === 3;
      });
      expect(listed).toHaveLength(1);
    });

    test("a revocation is in force at every gate, and each has it in its audit", async () => {
      const token = await developmentToken(folder.path, "--sub", "alice", "--claim", "roles=staff");
      for (const shown of GATES) expect(await statusAt(shown, token)).toBe(200);
      const revoked = await run(["revoke", "--subject", "alice"], { folder: folder.path });
      expect(revoked).toMatchObject({ exitCode: 0 });
      for (const shown of GATES) {
        await until(`401 at ${shown}`, 10_000, async () => (await statusAt(shown, token)) === 401);
      }
      await until("three refusals in the audit", 10_000, async () => {
        const { out } = await run(["audit", "--code", "token_revoked", "--json"], {
          folder: folder.path,
        });
        return out.split("\n").length > GATES.length;
      });
      const verified = await run(["audit", "verify"], { folder: folder.path });
      expect(verified).toMatchObject({ exitCode: 0 });
    });

    test("a gate that ends is missed by nobody", async () => {
      const token = await developmentToken(folder.path, "--sub", "dora", "--claim", "roles=staff");
      const pid = await pidListeningOn(ports.get(8082) ?? 0);
      process.kill(pid, "SIGTERM");
      const statuses: number[] = [];
      for (let asked = 0; asked < 15; asked += 1) {
        statuses.push((await get(at(8080), token)).status);
        await Bun.sleep(20);
      }
      expect(new Set(statuses)).toEqual(new Set([200]));
    });
  });
});

/** Of the process that fleet.sh started: one that has this port in its environment. */
async function pidListeningOn(port: number): Promise<number> {
  for await (const name of new Bun.Glob("[0-9]*").scan({ cwd: "/proc", onlyFiles: false })) {
    const environment = await Bun.file(`/proc/${name}/environ`)
      .text()
      .catch(() => "");
    const command = await Bun.file(`/proc/${name}/cmdline`)
      .text()
      .catch(() => "");
    if (environment.split("\0").includes(`PORT=${port}`) && command.includes("\0serve"))
      return Number(name);
  }
  throw new Error(`Cannot find the gate on port ${port}`);
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { decodeJwt } from "jose";
import { idpCommand } from "../../src/cli/idp.ts";

type Tokens = { readonly access_token: string };

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "claimgate-idp-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The command as a process of its own: it waits for a signal. */
function start(...args: string[]) {
  const source = Bun.fileURLToPath(new URL("../../src/cli/idp.ts", import.meta.url));
  const script = `const { Command } = await import("commander");
    const { idpCommand } = await import(${JSON.stringify(source)});
    const program = new Command("claimgate");
    idpCommand(program);
    await program.parseAsync(process.argv.slice(1), { from: "user" });`;
  const config = join(folder, "claimgate.yaml");
  return Bun.spawn(
    [process.execPath, "-e", script, "--", "idp", "--config", config, "--port", "0", ...args],
    { stdout: "pipe", stderr: "pipe" },
  );
}

/** What a process prints first. */
async function firstOutput(process: ReturnType<typeof start>): Promise<string> {
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}

function runHere(...args: string[]): Promise<unknown> {
  const program = new Command("claimgate").exitOverride();
  idpCommand(program);
  const config = join(folder, "claimgate.yaml");
  return program.parseAsync(["idp", "--config", config, ...args], { from: "user" });
}

describe("claimgate idp", () => {
  test.each(["SIGINT", "SIGTERM"] as const)(
    "says where it is, works, and ends at %s",
    async (signal) => {
      await using process = start("--audience", "api");
      const text = await firstOutput(process);
      const [, issuer = ""] = /^issuer +(http:\/\/127\.0\.0\.1:\d+)$/m.exec(text) ?? [];
      expect(text).toContain(`${issuer}/.well-known/openid-configuration\n`);
      // The line to paste, sent by fetch: not every machine has curl.
      const [, url = "", fields = ""] = /curl -s (\S+)((?: -d \S+)+)$/m.exec(text) ?? [];
      const body = new URLSearchParams(fields.replaceAll(" -d ", "&").slice(1));
      const { access_token } = (await (
        await fetch(url, { method: "POST", body })
      ).json()) as Tokens;
      expect(decodeJwt(access_token)).toMatchObject({ iss: issuer, aud: "api", roles: ["staff"] });
      process.kill(signal);
      expect(await process.exited).toBe(0);
      expect(await Bun.readableStreamToText(process.stderr)).toBe("");
    },
  );

  test("rotates the keys of a running one with --rotate", async () => {
    await using running = start("--json");
    const { issuer } = JSON.parse(await firstOutput(running));
    const { kid } = JSON.parse(await Bun.readableStreamToText(start("--rotate", "--json").stdout));
    const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: { kid: string }[] };
    expect(keys[0]?.kid).toBe(kid);
    expect(keys.length).toBeGreaterThan(1);
  });

  test("shows no client's secret", async () => {
    await using process = start("--client", "app:s3cret");
    const text = await firstOutput(process);
    expect(text).toContain("-u app:SECRET");
    expect(text).not.toContain("s3cret");
  });

  test("names a port that is taken", async () => {
    await using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    await expect(runHere("--port", `${other.port}`)).rejects.toMatchObject({
      code: "port_taken",
      message: expect.stringContaining("--port"),
    });
  });

  test.each([
    ["an address beyond loopback", ["--host", "0.0.0.0"]],
    ["a port that is none", ["--port", "http"]],
    ["a port beyond the last", ["--port", "65536"]],
    ["a client without id", ["--client", ":secret"]],
    ["a client given twice", ["--client", "a", "--client", "a:b"]],
  ])("refuses %s", async (_, args) => {
    await expect(runHere(...args)).rejects.toMatchObject({ code: "usage_wrong" });
  });

  test("refuses damaged keys", async () => {
    expect(await start("--rotate").exited).toBe(0);
    await writeFile(join(folder, ".claimgate", "development-keys.json"), "{}");
    await expect(runHere("--port", "0")).rejects.toMatchObject({ code: "state_unusable" });
  });
});

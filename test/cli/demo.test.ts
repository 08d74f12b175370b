import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { claimgateCommand } from "../support/executable.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** Starting, thirteen requests and ending take a second or two, more on a busy machine. */
const LIMIT_MS = 20_000;

/** Mark, request, status and code of each row. */
const ROWS = [
  "✓ allowed GET / 200",
  "✓ no token GET / 401 token_missing",
  "✓ expired GET / 401 token_expired",
  "✓ wrong audience GET / 401 token_invalid audience_mismatch",
  "✓ forged GET / 401 token_invalid signature_invalid",
  "✓ unsigned GET / 401 token_invalid algorithm_refused",
  "✓ role missing GET / 403 policy_denied role_missing",
  "✓ outside hours GET /books/ 403 policy_denied outside_hours",
  "✓ WebSocket GET /live 101",
  "✓ public route GET /open/ 200",
  "✓ wrong method POST /open/ 405 method_not_allowed",
  "✓ spoofed header GET / 200",
  "✓ path trick GET /open/..%2f 400 request_malformed",
];

/** A port of loopback that another program has. */
function takenPort(): AsyncDisposable & { readonly port: number } {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("taken") });
  return { port: server.port ?? 0, [Symbol.asyncDispose]: () => server.stop(true) };
}

describe("claimgate demo", () => {
  test(
    "--once prints the table on stdout, every row as expected, and leaves nothing behind",
    async () => {
      await using folder = await tempFolder();
      const environment = { TMPDIR: folder.path };
      const { exitCode, out, err } = await runClaimgate(["demo", "--once", "--port", "0"], {
        cwd: folder.path,
        environment,
      });
      expect(err).toBe("");
      const lines = out.split("\n");
      expect(lines.filter((line) => line.length > 100)).toEqual([]);
      const rows = lines
        .filter((line) => /^ {2}[✓✗]/u.test(line))
        .map((line) => line.trim().replace(/ +/gu, " "));
      expect(rows.length).toBe(ROWS.length);
      for (const [index, row] of ROWS.entries()) expect(rows[index]).toStartWith(row);
      expect(rows[0]).toContain("X-User: alice");
      expect(rows[11]).toContain("X-User: alice");
      expect(out).toContain("all 13 came out as expected");
      expect(out).not.toContain("\u001b");
      expect(out).not.toContain("eyJ");
      expect(exitCode).toBe(0);
      expect(await readdir(folder.path)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "a port that was asked for and is taken is told, with exit 1",
    async () => {
      await using taken = takenPort();
      await using folder = await tempFolder();
      const { exitCode, out, err } = await runClaimgate(["demo", "--port", String(taken.port)], {
        cwd: folder.path,
        environment: { TMPDIR: folder.path },
      });
      expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
      expect(err).toContain(String(taken.port));
      expect(await readdir(folder.path)).toEqual([]);
    },
    LIMIT_MS,
  );

  test.each(["http", "-1", "65536", "80.5"])("--port %s is wrong usage", async (port) => {
    await using folder = await tempFolder();
    const { exitCode } = await runClaimgate(["demo", `--port=${port}`], { cwd: folder.path });
    expect(exitCode).toBe(2);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "stays up with commands that work, reloads an edited policy, and ends at %s",
    async (signal) => {
      await using folder = await tempFolder();
      const child = Bun.spawn([...claimgateCommand(), "demo", "--port", "0"], {
        cwd: folder.path,
        env: { ...process.env, TMPDIR: folder.path },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      try {
        const out = await textUntil(child.stdout, "Ctrl-C ends");
        const [, url = ""] = /^ {2}curl -i (http:\S+)$/mu.exec(out) ?? [];
        const [, token = ""] = /^ {2}T=(\S+)$/mu.exec(out) ?? [];
        const [, policy = ""] = /Edit (\S+staff\.ts)/u.exec(out) ?? [];
        const ask = async (headers: Record<string, string>) =>
          (await fetch(url, { headers, proxy: false })).status;
        expect(await ask({})).toBe(401);
        // The usual ports are taken by now; so is, for this one, the environment's proxy.
        const nowhere = "http://127.0.0.1:9";
        await using elsewhere = await tempFolder();
        const second = await runClaimgate(["demo", "--once"], {
          cwd: elsewhere.path,
          environment: { TMPDIR: elsewhere.path, HTTP_PROXY: nowhere, http_proxy: nowhere },
        });
        expect(second.out).toContain("all 13 came out as expected");

        const bearer = { Authorization: `Bearer ${token}` };
        expect(await ask(bearer)).toBe(200);

        const text = await Bun.file(policy).text();
        await Bun.write(policy, text.replaceAll('"staff"', '"boss"'));
        let status = 200;
        while (status === 200) status = await ask(bearer);
        expect(status).toBe(403);
      } finally {
        child.kill(signal);
      }
      expect(await child.exited).toBe(0);
      expect(await readdir(folder.path)).toEqual([]);
    },
    LIMIT_MS,
  );
});

test(
  "claimgate demo takes a Ctrl-C that comes twice, as under bun run, for one",
  async () => {
    await using folder = await tempFolder();
    const child = Bun.spawn([...claimgateCommand(), "demo", "--port", "0"], {
      cwd: folder.path,
      env: { ...process.env, TMPDIR: folder.path },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    await textUntil(child.stdout, "Ctrl-C ends");
    const repeated = setInterval(() => child.kill("SIGINT"), 1);
    child.kill("SIGINT");
    setTimeout(() => clearInterval(repeated), 50);
    expect(await child.exited).toBe(0);
    clearInterval(repeated);
    expect(await readdir(folder.path)).toEqual([]);
  },
  LIMIT_MS,
);

test.each([
  [["demo", "--once"]],
  [
    [
      "serve",
      "--upstream",
      "http://127.0.0.1:9",
      "--issuer",
      "http://localhost",
      "--audience",
      "a",
    ],
  ],
])("%j without a place for temporary files names it, with exit 70", async (args) => {
  await using folder = await tempFolder({ file: "" });
  const environment = { TMPDIR: `${folder.path}/file` };
  const { exitCode, out, err } = await runClaimgate(args, { cwd: folder.path, environment });
  expect({ exitCode, out }).toEqual({ exitCode: 70, out: "" });
  expect(err).toBe(
    `claimgate: cannot write into ${folder.path}/file (ENOTDIR): set TMPDIR to a folder that can be written\n`,
  );
});

/** Reads until the words have come; the rest is left unread. */
async function textUntil(stream: ReadableStream<Uint8Array>, words: string): Promise<string> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Cannot find "${words}" in:\n${text}`);
    text += decoder.decode(value, { stream: true });
    if (text.includes(words)) break;
  }
  reader.releaseLock();
  return text;
}

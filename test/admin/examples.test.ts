/** What docs/admin-api.md shows works as it stands there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ENDPOINTS } from "../../src/admin/api.ts";
import { describeWith } from "../support/needs.ts";
import { type AdminGate, openAdminGate } from "./admin-gate.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/admin-api.md"), "utf8");
const EXAMPLES = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, sample = ""]) => [sample]);
const TOKEN = "a-long-enough-admin-token-000000";

test("the page names every address", () => {
  const rows = [...PAGE.matchAll(/^\| `(\/[^`]*)` *\| ([A-Z, ]+?) *\|/gm)];
  const told = rows.flatMap(([, path, methods = ""]) =>
    methods.split(", ").map((method) => `${method} ${path}`),
  );
  expect(told.sort()).toEqual(ENDPOINTS.map(({ method, path }) => `${method} ${path}`).sort());
});

describeWith("curl", "examples of the page", () => {
  let local: AdminGate;
  let remote: AdminGate;
  beforeAll(async () => {
    local = await openAdminGate();
    remote = await openAdminGate({
      listen: { kind: "tcp", hostname: "127.0.0.1", port: 0 },
      token: TOKEN,
    });
    // What goes on without end is read for a moment.
    await local.folder.write(".curlrc", "silent\nshow-error\nmax-time = 2\n");
  });
  afterAll(async () => {
    await local[Symbol.asyncDispose]();
    await remote[Symbol.asyncDispose]();
  });

  test("there are some", () => expect(EXAMPLES.length).toBeGreaterThanOrEqual(9));

  test.each(EXAMPLES)("%s", async (sample) => {
    const { host } = new URL(remote.api.url.replace(/^unix:/, "http://x"));
    const fitted = sample
      .replaceAll("127.0.0.1:9901", host)
      .replaceAll(/^curl /gm, 'curl --write-out "\\n%{http_code}\\n" ');
    const child = Bun.spawn(["bash", "-ec", fitted], {
      cwd: local.folder.path,
      env: { PATH: process.env.PATH, HOME: local.folder.path, CLAIMGATE_ADMIN_TOKEN: TOKEN },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const isStream = sample.includes("/stream");
    const [out, err, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    // 28 is curl's word for its time being over.
    expect([exitCode, isStream ? "" : err]).toEqual([isStream ? 28 : 0, ""]);
    const asked = fitted.match(/^curl /gm) ?? [];
    expect([...(out.match(/^\d{3}$/gm) ?? [])]).toEqual(asked.map(() => "200"));
    if (isStream) expect(out).toStartWith(": open\n");
  });
});

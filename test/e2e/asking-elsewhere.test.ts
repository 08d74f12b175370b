/** The example policies that ask a service and read a file, in the compiled gate. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, serve, until } from "./claimgate.ts";

const EXAMPLES = join(import.meta.dir, "../../docs/examples/policies");
const SECRET = { HR_TOKEN: "s3cret-of-hr" };

const configuration = (service: string) => `listen: 127.0.0.1:0
policyTimeout: 2s
issuers:
  - { name: dev, development: true }
routes:
  - name: hr
    match: { path: /hr/* }
    upstream: echo
    policies:
      - employed: { url: "${service}/people" }
  - name: team
    match: { path: /team/* }
    upstream: echo
    policies:
      - any: [{ team-file: { anyOf: [ops] } }, { break-glass: { anyOf: [sre] } }]
`;

test("a service is asked once, a file is read anew, and an emergency is on record", async () => {
  const asked: string[] = [];
  let isUp = true;
  await using service = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      asked.push(`${new URL(request.url).pathname} ${request.headers.get("authorization")}`);
      if (!isUp) return new Response("", { status: 500 });
      const isAlice = request.url.endsWith("/alice%40acme.dev");
      return Response.json({ status: isAlice ? "active" : "terminated" });
    },
  });
  const names = ["employed.ts", "team-file.ts", "teams.json", "teams.example.json"];
  const files = await Promise.all(
    names.map(async (name) => [`policies/${name}`, await readFile(join(EXAMPLES, name), "utf8")]),
  );
  await using folder = await tempFolder({
    ...Object.fromEntries(files),
    "claimgate.yaml": configuration(service.url.origin),
  });
  const tokens = new Map<string, string>();
  for (const name of ["alice", "bob", "carol"]) {
    const claims = ["--claim", `email=${name}@acme.dev`, "--claim", "roles=sre,staff"];
    tokens.set(name, await developmentToken(folder.path, "--sub", name, ...claims));
  }
  await using gate = await serve([], { folder: folder.path, environment: SECRET });
  const ask = (name: string, path: string, headers = {}) =>
    fetch(`${gate.urls[0]}${path}`, {
      headers: { Authorization: `Bearer ${tokens.get(name)}`, ...headers },
    });
  const status = async (name: string, path: string) => (await ask(name, path)).status;

  const many = await Promise.all(Array.from({ length: 20 }, () => status("alice", "/hr/x")));
  expect(new Set(many)).toEqual(new Set([200]));
  expect(asked).toEqual(["/people/alice%40acme.dev Bearer s3cret-of-hr"]);
  expect(await status("bob", "/hr/x")).toBe(403);
  isUp = false;
  expect(await status("alice", "/hr/x")).toBe(200);
  expect(await status("carol", "/hr/x")).toBe(403);
  await gate.waitForLog(({ code, policy }) => code === "policy_fault" && policy === "employed");
  expect(asked).toHaveLength(3);
  expect(gate.stderr()).not.toContain(SECRET.HR_TOKEN);

  expect([await status("alice", "/team/x"), await status("bob", "/team/x")]).toEqual([200, 403]);
  await folder.write("policies/teams.json", '{ "ops": ["bob"] }');
  await until("the file to count", 10_000, async () => (await status("bob", "/team/x")) === 200);
  expect(await status("alice", "/team/x")).toBe(403);

  const answer = await ask("alice", "/team/x", { "X-Break-Glass-Reason": "INC-42: all is down" });
  expect(answer.status).toBe(200);
  const id = answer.headers.get("x-request-id") ?? "";
  await until("the decision to be stored", 10_000, async () => {
    const { out } = await run(["explain", id], { folder: folder.path, environment: SECRET });
    return out.includes("emergency access: INC-42: all is down");
  });
}, 60_000);

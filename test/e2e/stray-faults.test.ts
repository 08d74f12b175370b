import { expect, test } from "bun:test";
import { tempFolder } from "../support/temp-folder.ts";
import { developmentToken, serve } from "./claimgate.ts";

const CONFIG = `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes: [{ upstream: echo, policies: [careless] }]
`;

/** Fails once an evaluation is over, where nobody waits for it. */
const CARELESS = `import { allow, definePolicy } from "claimgate";
export default definePolicy({
  description: "Lets everyone pass and then fails",
  evaluate() {
    setTimeout(() => { throw new Error("too late for anybody"); }, 1);
    return allow();
  },
});
`;

test("what policy code does after its answer ends no request: it is a line in the log", async () => {
  await using folder = await tempFolder({
    "claimgate.yaml": CONFIG,
    "policies/careless.ts": CARELESS,
  });
  const token = await developmentToken(folder.path);
  await using gate = await serve([], { folder: folder.path });
  const ask = () => fetch(gate.urls[0], { headers: { Authorization: `Bearer ${token}` } });
  expect((await ask()).status).toBe(200);
  const line = await gate.waitForLog(({ event }) => event === "policy_stray");
  expect(line).toMatchObject({ level: "error" });
  expect(String(line.stack)).toContain("too late for anybody");
  expect((await ask()).status).toBe(200);
  // Nothing but JSON lines: whoever collects the log can read all of it.
  const lines = gate.stderr().trim().split("\n");
  expect(lines.filter((text) => !text.startsWith("{"))).toEqual([]);
});

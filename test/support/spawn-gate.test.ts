import { expect, test } from "bun:test";
import { spawnGate } from "./spawn-gate.ts";
import { tempFolder } from "./temp-folder.ts";

/** Stands for claimgate: ready at the second try, logs, and ends at SIGTERM with code 7. */
const STANDIN = `
const yaml = await Bun.file("claimgate.yaml").text();
const port = Number(/^listen: 127.0.0.1:(\\d+)/.exec(yaml)?.[1]);
let tries = 0;
Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("", { status: tries++ === 0 ? 503 : 200 }) });
console.error(JSON.stringify({ event: "listening", extra: process.env.EXTRA }));
console.error("not a log line");
process.on("SIGTERM", () => process.exit(7));
`;

test("waits until it is ready, reads its log, and stops it", async () => {
  await using standin = await tempFolder({ "main.ts": STANDIN });
  await using gate = await spawnGate({
    command: [process.execPath, `${standin.path}/main.ts`],
    config: "routes: []\n",
    files: { "policies/staff.ts": "// staff" },
    environment: { EXTRA: "given" },
  });
  expect((await fetch(`${gate.url}/`)).status).toBe(200);
  expect(await gate.waitForLog((line) => line.event === "listening")).toEqual({
    event: "listening",
    extra: "given",
  });
  expect(gate.log).toHaveLength(1);
  expect(await Bun.file(`${gate.folder.path}/policies/staff.ts`).text()).toBe("// staff");
  expect(await gate.stop()).toBe(7);
  expect(gate.stderr()).toContain("not a log line");
});

test("says what it said when it does not start", async () => {
  const command = [process.execPath, "-e", `console.error("no good"); process.exit(3)`];
  const start = spawnGate({ command, config: "" });
  await expect(start).rejects.toThrow(/ended with 3:\nno good/);
});

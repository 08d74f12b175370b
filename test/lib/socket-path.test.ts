import { expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { reachableSocketPath } from "../../src/lib/socket-path.ts";
import { tempFolder } from "../support/temp-folder.ts";

test("a short path is taken as it is", () => {
  expect(reachableSocketPath("/run/claimgate.sock")).toBe("/run/claimgate.sock");
});

test("a path that is shorter from here is told from here", () => {
  const path = join(process.cwd(), "a".repeat(60), "claimgate.sock");
  const long = join(process.cwd(), "b".repeat(20), "..", "a".repeat(85), "claimgate.sock");
  expect(reachableSocketPath(path).length).toBeLessThanOrEqual(103);
  expect(reachableSocketPath(long)).toBe(relative(process.cwd(), long));
});

test("a server in a deep folder can be reached there", async () => {
  await using folder = await tempFolder();
  const deep = join(folder.path, "a".repeat(80), "b".repeat(80));
  await mkdir(deep, { recursive: true });
  const path = join(deep, "claimgate.sock");
  await using server = Bun.serve({
    unix: reachableSocketPath(path),
    fetch: () => new Response("here"),
  });
  expect(server).toBeDefined();
  const answer = await fetch("http://localhost/", { unix: reachableSocketPath(path) });
  expect(await answer.text()).toBe("here");
  expect(await readdir(deep)).toEqual(["claimgate.sock"]);
});

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { diskReason } from "../../src/lib/disk-fault.ts";
import { tempFolder } from "../support/temp-folder.ts";

test.if(process.platform === "linux")("a full disk is called so", async () => {
  const cause = await writeFile("/dev/full", "x").catch((fault: unknown) => fault);
  expect(diskReason(cause)).toBe("the disk is full (ENOSPC)");
});

test("what has no words keeps its code", async () => {
  await using folder = await tempFolder({ file: "" });
  const cause = await mkdir(`${folder.path}/file/below`).catch((fault: unknown) => fault);
  expect(diskReason(cause)).toBe("ENOTDIR");
  expect(diskReason("thrown")).toBe("failed");
});

import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { openAuditFile } from "../../src/audit/file.ts";
import { tempFolder } from "../support/temp-folder.ts";

const read = (path: string) => Bun.file(path).text();

function collected() {
  const messages: string[] = [];
  const waiting: (() => void)[] = [];
  const warn = (message: string) => {
    messages.push(message);
    waiting.shift()?.();
  };
  return { messages, warn, next: () => new Promise<void>((resolve) => waiting.push(resolve)) };
}

describe("openAuditFile()", () => {
  test("appends lines, for the owner alone", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "audit.jsonl");
    const { warn, messages } = collected();
    const file = openAuditFile({ path: () => path, warn });
    file.write('{"a":1}\n{"a":2}\n');
    await file.flush();
    expect(await read(path)).toBe('{"a":1}\n{"a":2}\n');
    file.write('{"a":3}\n');
    await file.close();
    expect(await read(path)).toBe('{"a":1}\n{"a":2}\n{"a":3}\n');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(messages).toEqual([]);
  });

  test("closes a file to others that was open to them, and goes on at its end", async () => {
    await using folder = await tempFolder({ "audit.jsonl": "before\n" });
    const path = join(folder.path, "audit.jsonl");
    await chmod(path, 0o644);
    const file = openAuditFile({ path: () => path, warn: () => {} });
    file.write("after\n");
    await file.close();
    expect(await read(path)).toBe("before\nafter\n");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("joins no line to one that was cut", async () => {
    await using folder = await tempFolder({ "audit.jsonl": '{"half' });
    const path = join(folder.path, "audit.jsonl");
    const file = openAuditFile({ path: () => path, warn: () => {} });
    file.write("whole\n");
    await file.close();
    expect(await read(path)).toBe('{"half\nwhole\n');
  });

  test("puts a full file aside and keeps five", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "audit.jsonl");
    const file = openAuditFile({ path: () => path, warn: () => {}, rotateBytes: 10 });
    for (let number = 1; number <= 8; number += 1) {
      file.write(`line ${number}\n`);
      await file.flush();
    }
    await file.close();
    expect((await readdir(folder.path)).sort()).toEqual([
      "audit.jsonl",
      "audit.jsonl.1",
      "audit.jsonl.2",
      "audit.jsonl.3",
      "audit.jsonl.4",
      "audit.jsonl.5",
    ]);
    expect(await read(path)).toBe("line 8\n");
    expect(await read(`${path}.1`)).toBe("line 7\n");
    expect(await read(`${path}.5`)).toBe("line 3\n");
    expect((await stat(`${path}.5`)).mode & 0o777).toBe(0o600);
  });

  test("counts towards the size what was there before", async () => {
    await using folder = await tempFolder({ "audit.jsonl": "12345678\n" });
    const path = join(folder.path, "audit.jsonl");
    const file = openAuditFile({ path: () => path, warn: () => {}, rotateBytes: 10 });
    file.write("new\n");
    await file.close();
    expect([await read(path), await read(`${path}.1`)]).toEqual(["new\n", "12345678\n"]);
  });

  test("follows a file that others rotate or take away", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "audit.jsonl");
    const file = openAuditFile({ path: () => path, warn: () => {} });
    file.write("one\n");
    await file.flush();
    await rename(path, `${path}.old`);
    file.write("two\n");
    await file.flush();
    await rm(path);
    file.write("three\n");
    await file.close();
    expect([await read(`${path}.old`), await read(path)]).toEqual(["one\n", "three\n"]);
  });

  test("goes over to another path, or to none, as soon as the configuration does", async () => {
    await using folder = await tempFolder();
    let path: string | undefined = join(folder.path, "one");
    const file = openAuditFile({ path: () => path, warn: () => {} });
    file.write("1\n");
    await file.flush();
    path = join(folder.path, "two");
    file.write("2\n");
    await file.flush();
    path = undefined;
    file.write("3\n");
    await file.close();
    expect(await read(join(folder.path, "one"))).toBe("1\n");
    expect(await read(join(folder.path, "two"))).toBe("2\n");
  });

  test("tells once that it cannot be written, and catches up when it can", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "logs", "audit.jsonl");
    const { warn, messages, next } = collected();
    const file = openAuditFile({ path: () => path, warn, retryMs: 1 });
    const told = next();
    file.write("one\n");
    await told;
    file.write("two\n");
    await file.flush();
    await file.flush();
    expect(messages).toEqual([
      "the audit file cannot be written (ENOENT); the store has the records",
    ]);
    const mended = next();
    await mkdir(join(folder.path, "logs"));
    await mended;
    await file.close();
    expect(await read(path)).toBe("one\ntwo\n");
    expect(messages[1]).toBe("the audit file is written again");
  });

  test("survives a full disk, and holds a bounded backlog meanwhile", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "audit.jsonl");
    await symlink("/dev/full", path);
    const { warn, messages, next } = collected();
    const file = openAuditFile({ path: () => path, warn, retryMs: 1 });
    const told = next();
    file.write("first\n");
    await told;
    expect(messages[0]).toBe(
      "the audit file cannot be written (ENOSPC); the store has the records",
    );
    const line = `${"x".repeat(1024 * 1024 - 1)}\n`;
    for (let count = 0; count < 20; count += 1) file.write(line);
    const mended = next();
    await rm(path);
    await mended;
    await file.close();
    expect(await read(path)).toBe(line.repeat(16));
    expect(messages[1]).toBe("the audit file is written again; 5 records are in the store alone");
  });

  test("leaves whole lines where the disk took a part, and none out or twice", async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, "audit.jsonl");
    const script = join(import.meta.dir, "limited-file-writer.ts");
    // Blocks of 512 bytes: 2,048 bytes hold 20 lines and a part of the next.
    const limited = `trap "" XFSZ; ulimit -S -f 4; exec "$0" "$1" "$2" 35`;
    const child = Bun.spawn(["sh", "-c", limited, process.execPath, script, path], {
      stdout: "pipe",
      stderr: "inherit",
    });
    expect((await child.stdout.text()).split("\n")).toEqual([
      "the audit file cannot be written (EFBIG); the store has the records",
      "the audit file is written again",
      "",
    ]);
    const numbers = (text: string) =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).n);
    const first = await read(`${path}.old`);
    expect(first).toEndWith("\n");
    expect(numbers(first)).toHaveLength(20);
    const all = [...numbers(first), ...numbers(await read(path))];
    expect(all).toEqual(Array.from({ length: 35 }, (_, at) => at + 1));
  });

  test("ends although it cannot be written", async () => {
    const { warn, messages } = collected();
    const file = openAuditFile({ path: () => "/dev/null/audit.jsonl", warn });
    file.write("line\n");
    await file.close();
    expect(messages).toHaveLength(1);
  });
});

import { describe, expect, test } from "bun:test";
import { openSink } from "../../src/telemetry/sink.ts";

/** A reader that takes chunks only when told to. */
function stalledReader() {
  const chunks: string[] = [];
  let release = Promise.withResolvers<void>();
  return {
    chunks,
    resume: () => {
      release.resolve();
      release = Promise.withResolvers<void>();
    },
    target: { write: (chunk: string) => void chunks.push(chunk), flush: () => release.promise },
  };
}

describe("openSink()", () => {
  test("writes lines in order and in batches", async () => {
    const chunks: string[] = [];
    const sink = openSink({ write: (chunk) => void chunks.push(chunk), flush: () => undefined });
    sink.write("one");
    sink.write("two");
    await sink.flush();
    expect(chunks).toEqual(["one\ntwo\n"]);
  });

  test("a reader that stalls costs lines, and is told how many", async () => {
    const reader = stalledReader();
    const sink = openSink(reader.target);
    sink.write("first");
    const flushed = sink.flush();
    const megabyte = "x".repeat(1024 * 1024);
    for (let count = 0; count < 20; count += 1) sink.write(megabyte);
    reader.resume();
    // The second batch is handed over only now; let it go, too.
    while (reader.chunks.length < 2) await Promise.resolve();
    reader.resume();
    await flushed;
    const [, second = ""] = reader.chunks;
    const lines = second.trimEnd().split("\n");
    const last = JSON.parse(lines.at(-1) ?? "");
    expect(lines.length - 1).toBeLessThan(12);
    expect(last).toEqual({
      level: "warn",
      event: "log_lines_dropped",
      dropped: 20 - (lines.length - 1),
    });
  });

  test("a closed pipe loses lines, nothing else", async () => {
    let broken = true;
    const chunks: string[] = [];
    const sink = openSink({
      write(chunk) {
        if (broken) throw new Error("EPIPE");
        chunks.push(chunk);
      },
      flush: () => undefined,
    });
    sink.write("lost");
    await sink.flush();
    broken = false;
    sink.write("kept");
    await sink.flush();
    expect(chunks).toEqual(["kept\n"]);
  });
});

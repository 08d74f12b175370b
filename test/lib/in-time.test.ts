import { describe, expect, test } from "bun:test";
import { inTime } from "../../src/lib/in-time.ts";

const never = new Promise<never>(() => undefined);
const AN_HOUR_MS = 3_600_000;

describe("inTime()", () => {
  test("gives what the work gives, or throws what it throws", async () => {
    let wasLate = false;
    const onLate = () => {
      wasLate = true;
    };
    expect(await inTime(Promise.resolve("done"), AN_HOUR_MS, onLate)).toBe("done");
    await expect(inTime(Promise.reject(new Error("failed")), AN_HOUR_MS, onLate)).rejects.toThrow(
      "failed",
    );
    expect(wasLate).toBe(false);
  });

  test("gives what stands for it once the time is over, or throws that", async () => {
    expect(await inTime(never, 1, () => "late")).toBe("late");
    const fail = () => {
      throw new Error("too late");
    };
    await expect(inTime(never, 1, fail)).rejects.toThrow("too late");
  });

  test("work that fails once nobody waits is no unhandled rejection", async () => {
    const work = Promise.withResolvers<void>();
    expect(await inTime(work.promise, 1, () => "late")).toBe("late");
    work.reject(new Error("nobody sees this"));
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("leaves no timer behind that would keep the process", async () => {
    const module = JSON.stringify(`${import.meta.dir}/../../src/lib/in-time.ts`);
    const script = `import { inTime } from ${module}; await inTime(Promise.resolve(), ${AN_HOUR_MS}, () => 1);`;
    const { exited } = Bun.spawn([process.execPath, "-e", script]);
    expect(await exited).toBe(0);
  });
});

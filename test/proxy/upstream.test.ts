import { describe, expect, test } from "bun:test";
import { openUpstream, type Target } from "../../src/proxy/upstream.ts";

function open(count: number) {
  const clock = { ms: 1_000_000 };
  const addresses = Array.from({ length: count }, (_, index) => ({
    kind: "http" as const,
    origin: `http://127.0.0.1:${9000 + index}`,
  }));
  return { clock, upstream: openUpstream(addresses, { now: () => clock.ms }) };
}

function pick(upstream: ReturnType<typeof open>["upstream"], tried?: ReadonlySet<Target>): Target {
  const target = upstream.choose(tried);
  if (target === undefined) throw new Error("no target left");
  return target;
}

describe("openUpstream()", () => {
  test("takes turns while all are equally busy", () => {
    const { upstream } = open(3);
    const origins = Array.from({ length: 9 }, () => pick(upstream).origin);
    const counts = Map.groupBy(origins, (origin) => origin);
    expect([...counts.values()].map((group) => group.length)).toEqual([3, 3, 3]);
  });

  test("chooses the one with the fewest requests in flight", () => {
    const { upstream } = open(3);
    const [a, b, c] = [pick(upstream), pick(upstream), pick(upstream)];
    a.inFlight = 2;
    b.inFlight = 1;
    c.inFlight = 3;
    expect([pick(upstream), pick(upstream), pick(upstream)]).toEqual([b, b, b]);
  });

  test("sets an unreachable one aside, longer each time, up to 30 s", () => {
    const { upstream, clock } = open(2);
    const bad = pick(upstream);
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      upstream.report(bad, "unreachable");
      const since = clock.ms;
      expect([pick(upstream), pick(upstream)]).not.toContain(bad);
      while (pick(upstream) !== bad && pick(upstream) !== bad) clock.ms += 500;
      waits.push(clock.ms - since);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("counts failures of requests that were under way together as one", () => {
    const { upstream } = open(2);
    const bad = pick(upstream);
    for (let index = 0; index < 50; index += 1) upstream.report(bad, "unreachable");
    expect(bad.asideUntilMs).toBe(1_001_000);
  });

  test("is patient with missing answers: three in a row", () => {
    const { upstream } = open(2);
    const slow = pick(upstream);
    upstream.report(slow, "failed");
    upstream.report(slow, "failed");
    expect([pick(upstream), pick(upstream)]).toContain(slow);
    upstream.report(slow, "failed");
    expect([pick(upstream), pick(upstream)]).not.toContain(slow);
  });

  test("an answer clears the record", () => {
    const { upstream } = open(2);
    const one = pick(upstream);
    upstream.report(one, "unreachable");
    upstream.report(one, "answered");
    expect([pick(upstream), pick(upstream)]).toContain(one);
  });

  test("with all set aside, tries the one that comes back first", () => {
    const { upstream, clock } = open(2);
    const first = pick(upstream);
    const second = pick(upstream);
    upstream.report(first, "unreachable");
    clock.ms += 100;
    upstream.report(second, "unreachable");
    expect([pick(upstream), pick(upstream)]).toEqual([first, first]);
  });

  test("does not choose what was tried, and says when nothing is left", () => {
    for (const count of [1, 2]) {
      const { upstream } = open(count);
      const tried = new Set<Target>();
      for (let index = 0; index < count; index += 1) tried.add(pick(upstream, tried));
      expect(tried.size).toBe(count);
      expect(upstream.choose(tried)).toBeUndefined();
    }
  });
});

/** What policies keep with `cached()`: loaded once, bounded, each policy's own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runCases } from "../../src/policy/cases.ts";
import type { Program } from "../../src/policy/compose.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Question } from "../../src/policy/input.ts";
import { compiled, loaded, policyFolder, question, ref } from "./policy-folder.ts";

/** What the service says next, and how often it was asked. */
let asked = 0;
let answer: () => Response | Promise<Response> = () => new Response("0");
let service: Bun.Server<undefined>;
beforeAll(() => {
  service = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async () => {
      asked++;
      return await answer();
    },
  });
});
afterAll(() => service.stop(true));

/** A policy that says what it found, as a header. */
function asking(found: string, more = ""): string {
  return `import { allow, cached, definePolicy, Type } from "claimgate";
export default definePolicy({ description: "for a test", ${more}
  async evaluate({ claims, fetch, signal }) {
    const ask = async () => {
      const answer = await fetch("${service.url.origin}/?q=1");
      if (!answer.ok) throw new Error("status " + answer.status);
      return await answer.text();
    };
    return allow({ headers: { "X-Found": String(${found}) } });
  } });`;
}

async function found(
  program: Program,
  about: Question = question(),
  timeoutMs = 2_000,
): Promise<string | undefined> {
  const { verdict } = await evaluate(program, about, timeoutMs);
  return verdict.kind === "allow"
    ? verdict.headers["X-Found"]
    : `${verdict.kind}: ${"code" in verdict ? verdict.code : ""}`;
}

/** Loads that policy and hands its program over. */
async function withPolicy<T>(
  source: string | Readonly<Record<string, string>>,
  task: (one: Program, two: Program) => Promise<T>,
): Promise<T> {
  const files = typeof source === "string" ? { "one.ts": source, "two.ts": source } : source;
  await using folder = await policyFolder(files);
  const set = await loaded(folder.path);
  try {
    asked = 0;
    return await task(compiled(set, ref("one")), compiled(set, ref("two")));
  } finally {
    set.dispose();
  }
}

/** Answers with its number. */
const counting = () => new Response(String(asked));

describe("cached()", () => {
  test("loads once for many who ask at once, and again after its time", async () => {
    answer = counting;
    await withPolicy(asking('await cached("k", claims.ttl, ask)'), async (one) => {
      const hour = question({ ttl: "1h" });
      const all = await Promise.all(Array.from({ length: 20 }, () => found(one, hour)));
      expect(new Set(all)).toEqual(new Set(["1"]));
      expect(await found(one, hour)).toBe("1");
      expect(await found(one, question({ ttl: "0s" }))).toBe("2");
      expect(await found(one, hour)).toBe("2");
    });
  });

  test("keeps keys apart, and policies", async () => {
    answer = counting;
    await withPolicy(asking("await cached(claims.sub, '1h', ask)"), async (one, two) => {
      expect(await found(one, question({ sub: "a" }))).toBe("1");
      expect(await found(one, question({ sub: "b" }))).toBe("2");
      expect(await found(two, question({ sub: "a" }))).toBe("3");
      expect(await found(one, question({ sub: "a" }))).toBe("1");
    });
  });

  test("of a helper that two policies import is each policy's own", async () => {
    answer = counting;
    const files = {
      "_groups.ts": `import { cached } from "claimgate";
        export const groups = (ask) => cached("groups", "1h", ask);`,
      "one.ts": `import { groups } from "./_groups.ts";${asking("await groups(ask)")}`,
      "two.ts": `import { groups } from "./_groups.ts";${asking("await groups(ask)")}`,
    };
    await withPolicy(files, async (one, two) => {
      expect(await found(one)).toBe("1");
      expect(await found(two)).toBe("2");
      expect(await found(one)).toBe("1");
    });
  });

  test("begins anew with a set loaded anew", async () => {
    answer = counting;
    await using folder = await policyFolder({ "one.ts": asking("await cached('k', '1h', ask)") });
    asked = 0;
    for (const expected of ["1", "2"]) {
      const set = await loaded(folder.path);
      expect(await found(compiled(set, ref("one")))).toBe(expected);
      set.dispose();
    }
  });

  test("does not keep errors", async () => {
    answer = () => new Response("", { status: asked === 1 ? 500 : 200 });
    await withPolicy(asking("'got' + (await cached('k', '1h', ask))"), async (one) => {
      expect(await found(one)).toBe("fault: threw");
      expect(await found(one)).toBe("got");
    });
  });

  test("serves what is old when told to, while the source fails, and spares it", async () => {
    answer = () => (asked === 1 ? new Response("old") : new Response("", { status: 500 }));
    const cached = "await cached('k', '1ms', ask, { staleFor: claims.stale })";
    await withPolicy(asking(cached), async (one) => {
      const forgiving = question({ stale: "1h" });
      expect(await found(one, forgiving)).toBe("old");
      await Bun.sleep(3);
      for (let times = 0; times < 5; times++) expect(await found(one, forgiving)).toBe("old");
      expect(asked).toBe(2);
      expect(await found(one, question({ stale: "0s" }))).toBe("fault: threw");
      expect(asked).toBe(3);
    });
  });

  test("serves what is old when told to, while the source is slow", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answer = async () => {
      if (asked > 1) await promise;
      return counting();
    };
    const cached = "await cached('k', '1ms', ask, { staleFor: '1h' })";
    await withPolicy(asking(cached), async (one) => {
      expect(await found(one, question(), 2_000)).toBe("1");
      await Bun.sleep(3);
      expect(await found(one, question(), 100)).toBe("1");
      resolve();
    });
  });

  test("a load that outlives its evaluation is there for the next", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answer = async () => {
      await promise;
      return counting();
    };
    await withPolicy(asking("await cached('k', '1h', ask)"), async (one) => {
      expect(await found(one, question(), 50)).toBe("fault: timeout");
      resolve();
      expect(await found(one)).toBe("1");
      expect(asked).toBe(1);
    });
  });

  test("without it, fetch ends with the evaluation that asked", async () => {
    const gone = Promise.withResolvers<void>();
    using slow = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        request.signal.addEventListener("abort", () => gone.resolve());
        return gone.promise.then(() => new Response("late"));
      },
    });
    const source = asking("await ask()").replace(service.url.origin, slow.url.origin);
    await withPolicy(source, async (one) => {
      expect(await found(one, question(), 50)).toBe("fault: timeout");
      await gone.promise;
    });
  });

  test("hands out data that nobody can change", async () => {
    answer = counting;
    const change = `await (async () => {
      const value = await cached("k", "1h", () => ({ list: [{ n: 1 }], map: new Map(), bytes: new Uint8Array(2) }));
      try { value.list[0].n = 2; } catch {}
      try { value.list.push(3); } catch {}
      return JSON.stringify(value.list);
    })()`;
    await withPolicy(asking(change), async (one) => {
      expect([await found(one), await found(one)]).toEqual(['[{"n":1}]', '[{"n":1}]']);
    });
  });

  test.each([
    ["an answer that can be read only once", "await cached('k', '1h', () => fetch('URL'))"],
    ["no duration", "await cached('k', 'soon', ask)"],
    ["no key", "await cached('', '1h', ask)"],
    ["a key without end", "await cached('k'.repeat(513), '1h', ask)"],
    ["itself", "await cached('k', '1h', () => cached('k', '1h', ask))"],
    [
      "itself by way of another",
      "await cached('k', '1h', () => cached('l', '1h', () => cached('k', '1h', ask)))",
    ],
  ])("refuses %s", async (_what, found_) => {
    answer = counting;
    await withPolicy(asking(found_.replace("URL", service.url.origin)), async (one) => {
      expect(await found(one)).toBe("fault: threw");
    });
  });

  test("a load within a load is fine", async () => {
    answer = counting;
    const nested = "await cached('k', '1h', async () => 'k' + (await cached('l', '1h', ask)))";
    await withPolicy(asking(nested), async (one) => {
      expect([await found(one), await found(one)]).toEqual(["k1", "k1"]);
    });
  });

  test("keeps 1,000 keys of a policy, the latest", async () => {
    answer = counting;
    const fill = `await (async () => {
      let loads = 0;
      for (let n = 0; n <= 1000; n++) await cached("k" + n, "1h", () => ++loads);
      await cached("k1000", "1h", () => ++loads);
      await cached("k0", "1h", () => ++loads);
      return loads;
    })()`;
    await withPolicy(asking(fill), async (one) => expect(await found(one)).toBe("1002"));
  });

  test("a load that never ends by itself is cut with its policy, and holds up nobody after", async () => {
    answer = counting;
    const loop = "await cached('k', '1h', () => { if (claims.loop) for (;;) {} return ask(); })";
    await withPolicy(asking(loop), async (one) => {
      expect(await found(one, question({ loop: true }), 30)).toBe("fault: timeout");
      expect(await found(one)).toBe("1");
    });
  });

  test("what a case loads never serves a request, nor another case", async () => {
    answer = counting;
    const cases = `cases: [
      { name: "one", fetch: () => new Response("made up"), expect: { allow: { headers: { "X-Found": "made up" } } } },
      { name: "two", fetch: () => new Response("other"), expect: { allow: { headers: { "X-Found": "other" } } } },
    ],`;
    await using folder = await policyFolder({
      "one.ts": asking("await cached('k', '1h', ask)", cases),
    });
    const set = await loaded(folder.path);
    asked = 0;
    expect(await found(compiled(set, ref("one")))).toBe("1");
    const results = await runCases(set, { timeoutMs: 1_000, names: new Set(["one"]) });
    expect(results.map(({ actual }) => actual)).toEqual([
      'allow with {"X-Found":"made up"}',
      'allow with {"X-Found":"other"}',
    ]);
    expect(await found(compiled(set, ref("one")))).toBe("1");
    set.dispose();
  });

  test("outside an evaluation is refused", async () => {
    const { cached } = await import("../../src/policy/sdk.ts");
    expect(cached("k", "1h", () => 1)).rejects.toThrow("while a policy is asked");
  });
});

/** What policies see of a token's past, live and in their cases. */
import { describe, expect, test } from "bun:test";
import { runCases } from "../../src/policy/cases.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Question } from "../../src/policy/input.ts";
import type { History } from "../../src/types.ts";
import { compiled, loaded, policy, policyFolder, question, ref } from "./policy-folder.ts";

const HISTORY: History = {
  firstMs: 1_767_600_000_000,
  lastMs: 1_767_600_050_000,
  requests: 7,
  denials: 2,
  deniedInRow: 1,
  lastMinute: 3,
  busiestMinute: 5,
  signedOutMs: 1_767_600_049_000,
  addresses: [
    {
      name: "192.0.2.9",
      firstMs: 1_767_600_000_000,
      lastMs: 1_767_600_050_000,
      requests: 7,
      country: "AT",
      location: { latitude: 48.2, longitude: 16.4 },
    },
  ],
  devices: [
    { name: "curl on unknown", firstMs: 1_767_600_000_000, lastMs: 1_767_600_050_000, requests: 7 },
  ],
};

/** Asks a policy to say `what`, as the detail of a denial. */
async function said(what: string, about: Question): Promise<unknown> {
  const members = `evaluate: async ({ history }) => deny("said", JSON.stringify(${what}))`;
  await using folder = await policyFolder({ "one.ts": policy(members) });
  const set = await loaded(folder.path);
  const { verdict } = await evaluate(compiled(set, ref("one")), about, 1_000);
  set.dispose();
  if (verdict.kind !== "deny") throw new Error(JSON.stringify(verdict));
  return JSON.parse(verdict.detail ?? "");
}

const known: Question = { ...question(), history: async () => HISTORY };

describe("history()", () => {
  test("is what the ledger knows, with dates", async () => {
    expect(await said("await history()", known)).toEqual({
      firstSeen: "2026-01-05T08:00:00.000Z",
      lastSeen: "2026-01-05T08:00:50.000Z",
      requests: 7,
      denials: 2,
      deniedInRow: 1,
      lastMinute: 3,
      busiestMinute: 5,
      signedOut: "2026-01-05T08:00:49.000Z",
      addresses: [
        {
          ip: "192.0.2.9",
          country: "AT",
          location: { latitude: 48.2, longitude: 16.4 },
          firstSeen: "2026-01-05T08:00:00.000Z",
          lastSeen: "2026-01-05T08:00:50.000Z",
          requests: 7,
        },
      ],
      devices: [
        {
          name: "curl on unknown",
          firstSeen: "2026-01-05T08:00:00.000Z",
          lastSeen: "2026-01-05T08:00:50.000Z",
          requests: 7,
        },
      ],
    });
  });

  test("of a token never seen before is empty and begins now", async () => {
    const now = "2026-01-05T08:01:00.000Z";
    const empty = {
      firstSeen: now,
      lastSeen: now,
      requests: 0,
      denials: 0,
      deniedInRow: 0,
      lastMinute: 0,
      busiestMinute: 0,
      addresses: [],
      devices: [],
    };
    expect(await said("await history()", question())).toEqual(empty);
    const blank = { ...HISTORY, ...empty, firstMs: 0, lastMs: 0 } as History;
    const { signedOutMs: _heard, ...unheard } = blank;
    expect(await said("await history()", { ...question(), history: async () => unheard })).toEqual(
      empty,
    );
  });

  test("is read once for all policies, and none can change what the next one sees", async () => {
    let reads = 0;
    const vandal = `evaluate: async ({ history }) => {
      const past = await history();
      past.firstSeen.setTime(0);
      past.addresses[0].lastSeen.setTime(0);
      for (const change of [
        () => { past.requests = 0; },
        () => { past.addresses.length = 0; },
        () => { past.addresses[0].ip = "::1"; },
        () => { past.addresses[0].location.latitude = 0; },
        () => { past.devices[0].name = ""; },
        () => { Object.defineProperty(past, "firstSeen", { value: 0 }); },
      ]) {
        let refused = false;
        try { change(); } catch { refused = true; }
        if (!refused) return deny("changed", String(change));
      }
      return allow();
    }`;
    const witness = 'evaluate: async ({ history }) => deny("saw", JSON.stringify(await history()))';
    await using folder = await policyFolder({ "a.ts": policy(vandal), "b.ts": policy(witness) });
    const set = await loaded(folder.path);
    const about = {
      ...question(),
      history: async () => {
        reads++;
        return HISTORY;
      },
    };
    const { verdict } = await evaluate(compiled(set, ref("a"), ref("b")), about, 1_000);
    set.dispose();
    expect(verdict).toMatchObject({
      code: "saw",
      detail: expect.stringContaining("08:00:50.000Z"),
    });
    expect(reads).toBe(1);
  });

  test("that the ledger is slow to tell is not the policy's time", async () => {
    const asksAtOnce = "evaluate: async ({ history }) => ((await history()) ? allow() : allow())";
    const asksLater = `evaluate: async ({ history }) => {
      await Promise.resolve();
      return (await history()) ? allow() : allow();
    }`;
    const isSlowItself = `evaluate: async ({ history }) => {
      await history();
      await new Promise(() => {});
      return allow();
    }`;
    await using folder = await policyFolder({
      "at-once.ts": policy(asksAtOnce),
      "later.ts": policy(asksLater),
      "slow.ts": policy(isSlowItself),
    });
    const set = await loaded(folder.path);
    const codeOf = async (name: string) => {
      const told = Promise.withResolvers<typeof HISTORY>();
      const about = { ...question(), history: () => told.promise };
      const asked = evaluate(compiled(set, ref(name)), about, 20);
      await Bun.sleep(100);
      told.resolve(HISTORY);
      const { verdict } = await asked;
      return verdict.kind === "fault" ? verdict.code : verdict.kind;
    };
    expect(await codeOf("at-once")).toBe("allow");
    expect(await codeOf("later")).toBe("allow");
    expect(await codeOf("slow")).toBe("timeout");
    set.dispose();
  });

  test("that cannot be read closes the gate", async () => {
    await using folder = await policyFolder({
      "one.ts": policy("evaluate: async ({ history }) => ((await history()) ? allow() : allow())"),
    });
    const set = await loaded(folder.path);
    const about = {
      ...question(),
      history: async () => {
        throw new Error("the store is gone");
      },
    };
    const { verdict } = await evaluate(compiled(set, ref("one")), about, 1_000);
    set.dispose();
    expect(verdict).toMatchObject({ kind: "fault", code: "threw" });
  });
});

test("client.location is there for policies, frozen, and only if it is known", async () => {
  await using folder = await policyFolder({
    "one.ts": policy(
      'evaluate: ({ client }) => deny("at", JSON.stringify([client.location, Object.isFrozen(client.location)]))',
    ),
  });
  const set = await loaded(folder.path);
  const program = compiled(set, ref("one"));
  const { inquiry, ...rest } = question();
  const location = { latitude: -33.9, longitude: 151.2 };
  const client = { ...inquiry.client, location };
  expect(
    await evaluate(program, { ...rest, inquiry: { ...inquiry, client } }, 1_000),
  ).toMatchObject({ verdict: { detail: JSON.stringify([location, true]) } });
  expect(await evaluate(program, question(), 1_000)).toMatchObject({
    verdict: { detail: "[null,true]" },
  });
  set.dispose();
});

describe("in a case", () => {
  /** What a policy of that case sees; `past` is the history. */
  async function seen(what: string, members: string): Promise<string | undefined> {
    const evaluate = `async evaluate({ history, client }) {
      const past = await history();
      return allow({ headers: { "X-Saw": String(${what}) } });
    }`;
    await using folder = await policyFolder({
      "one.ts": policy(
        `${evaluate}, cases: [{ name: "x", expect: { allow: { headers: {} } }, ${members} }]`,
      ),
    });
    const set = await loaded(folder.path);
    const [result] = await runCases(set, { timeoutMs: 1_000, names: new Set(["one"]) });
    set.dispose();
    return /"X-Saw":"([^"]*)"/.exec(result?.actual ?? "")?.[1] ?? result?.actual;
  }

  test.each([
    ["past.requests", "", "0"],
    ["past.firstSeen.toISOString()", "", "2026-01-05T12:00:00.000Z"],
    ["past.firstSeen.toISOString()", "history: {}", "2026-01-05T11:00:00.000Z"],
    ["past.lastSeen.toISOString()", "history: {}", "2026-01-05T11:59:00.000Z"],
    ["past.requests", "history: {}", "1"],
    ["past.lastSeen.getTime()", 'history: { lastSeen: "2026-01-05T09:00:00Z" }', "1767603600000"],
    ["past.lastSeen.getTime()", "history: { lastSeen: new Date(5) }", "5"],
    ["past.firstSeen.getTime()", "history: { lastSeen: new Date(5) }", "5"],
    ["past.denials", "history: { deniedInRow: 4 }", "4"],
    ["past.signedOut", "history: {}", "undefined"],
    ["past.signedOut.getTime()", "history: { signedOut: new Date(7) }", "7"],
    [
      "past.addresses.map((one) => one.ip + one.country + one.requests)",
      'history: { addresses: [{ ip: "192.0.2.1", lastSeen: "2026-01-05T10:00:00Z" }, { ip: "::ffff:10.0.0.1", country: "AT", requests: 4 }] }',
      "10.0.0.1AT4,192.0.2.1undefined1",
    ],
    ["past.requests", 'history: { addresses: [{ ip: "::1", requests: 4 }, { ip: "::2" }] }', "5"],
    [
      "past.devices[0].name",
      'history: { devices: [{ name: "curl on unknown" }] }',
      "curl on unknown",
    ],
    ["client.location.latitude", "client: { location: { latitude: 1.5, longitude: 2 } }", "1.5"],
    ["client.location", "", "undefined"],
  ])("%s with { %s } is %s", async (what, members, expected) => {
    expect(await seen(what, members)).toBe(expected);
  });

  test.each([
    ['history: { lastSeen: "yesterday" }', "history.lastSeen is no time"],
    ['history: { addresses: [{ ip: "10.1" }] }', "history.addresses: ip is no address"],
  ])("{ %s } cannot be run, and says why", async (members, why) => {
    expect(await seen("0", members)).toContain(why);
  });
});

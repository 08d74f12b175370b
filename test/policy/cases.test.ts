import { describe, expect, test } from "bun:test";
import { type CaseResult, runCases } from "../../src/policy/cases.ts";
import { loaded, policy, policyFolder } from "./policy-folder.ts";

/** Runs the cases of one policy. */
async function run(members: string): Promise<readonly CaseResult[]> {
  await using folder = await policyFolder({ "one.ts": policy(members) });
  const set = await loaded(folder.path);
  const results = await runCases(set, { timeoutMs: 60, names: new Set(["one"]) });
  set.dispose();
  return results;
}

/** Runs one case against a policy that denies with what it sees as its code. */
async function seen(what: string, members: string): Promise<string | undefined> {
  const evaluate = `evaluate: ({ claims, token, request, client, route, now }) => deny(String(${what}))`;
  const [result] = await run(`${evaluate}, cases: [{ name: "x", expect: "allow", ${members} }]`);
  return result?.actual.replace("deny ", "");
}

describe("runCases()", () => {
  test("tells for each case what was expected, what came, and where it is", async () => {
    const results = await run(`claims: Type.Object({ ok: Type.Boolean() }),
      evaluate: ({ claims }) => (claims.ok ? allow() : deny("not_ok")),
      cases: [
        { name: "passes", claims: { ok: true }, expect: "allow" },
        { name: "does not", claims: { ok: false }, expect: "allow" },
        {
          name: 'it\\'s "quoted"', claims: {}, expect: "deny claims_mismatch" },
      ]`);
    expect(results).toMatchObject([
      { policy: "one", name: "passes", ok: true, expected: "allow", actual: "allow", line: 6 },
      { name: "does not", ok: false, expected: "allow", actual: "deny not_ok", line: 7 },
      { name: 'it\'s "quoted"', ok: true, actual: "deny claims_mismatch" },
    ]);
    expect(results.every(({ file, ms }) => file.endsWith("/one.ts") && ms >= 0)).toBe(true);
  });

  test("cases of one name have lines of their own", async () => {
    const results = await run(`evaluate: () => allow(), cases: [
        { name: "same", expect: "allow" },
        { name: "same", expect: "allow" },
      ]`);
    expect(results.map(({ line }) => line)).toEqual([4, 5]);
  });

  test.each([
    ["allow()", '"allow"', true],
    ["allow()", '"deny no"', false],
    ['deny("no")', '"deny no"', true],
    ['deny("no")', '"deny nope"', false],
    ['deny("no")', '"allow"', false],
    ['challenge({ acr: "mfa" })', '"challenge"', true],
    ['challenge({ acr: "mfa" })', '"deny challenge"', false],
    ["undefined", '"fault"', true],
    ["undefined", '"allow"', false],
    ["allow()", '"fault"', false],
    ["new Promise(() => {})", '"fault"', true],
    ['allow({ headers: { "X-A": "1" } })', '"allow"', true],
    ['allow({ headers: { "X-A": "1" } })', '{ allow: { headers: { "x-a": "1" } } }', true],
    ['allow({ headers: { "X-A": "Zoë" } })', '{ allow: { headers: { "X-A": "Zoë" } } }', true],
    ['allow({ headers: { "X-A": "1" } })', '{ allow: { headers: { "X-A": "2" } } }', false],
    [
      'allow({ headers: { "X-A": "1", "X-B": "2" } })',
      '{ allow: { headers: { "X-A": "1" } } }',
      false,
    ],
    ["allow()", '{ allow: { headers: { "X-A": "1" } } }', false],
    ['deny("no")', "{ allow: { headers: {} } }", false],
    ["allow()", "{ allow: { headers: {} } }", true],
    ["allow()", "{}", false],
  ])("%s where %s is expected: %p", async (answer, expectation, ok) => {
    const results = await run(
      `evaluate: () => ${answer}, cases: [{ name: "x", expect: ${expectation} }]`,
    );
    expect(results.map((result) => result.ok)).toEqual([ok]);
  });

  test.each([
    ["token.subject", "", "alice"],
    ["claims.sub", "", "alice"],
    ["token.subject", 'claims: { sub: "bob" }', "bob"],
    ["token.issuedAt.toISOString().slice(11, 19).replaceAll(':', '_')", "", "fault"],
    ["'at_' + token.issuedAt.getTime()", "", "at_1767614340000"],
    ["'at_' + token.expiresAt.getTime()", "", "at_1767618000000"],
    ["'at_' + now.getTime()", "", "at_1767614400000"],
    ["'at_' + now.getTime()", 'now: "2026-02-01T00:00:00Z"', "at_1769904000000"],
    ["'at_' + now.getTime()", "now: new Date(86400000)", "at_86400000"],
    ["'is_' + token.issuedAt", "token: { issuedAt: undefined }", "is_undefined"],
    ["token.scopes.join('_')", 'token: { scopes: ["a", "b"] }', "a_b"],
    ["token.scopes.join('_')", 'claims: { scopes: ["c"] }', "c"],
    ["request.method.toLowerCase()", 'request: { method: "PUT" }', "put"],
    ["request.query.get('q')", 'request: { url: "https://x.example/a?q=found" }', "found"],
    ["request.path.slice(1)", 'request: { url: "https://x.example/a?q=found" }', "a"],
    ["request.headers.get('x-a')", 'request: { headers: { "X-A": "h" } }', "h"],
    ["client.device.platform", 'request: { headers: { "Sec-CH-UA-Platform": "Linux" } }', "linux"],
    ["client.device.browser", 'client: { device: { browser: "firefox" } }', "firefox"],
    ["'c_' + client.country.toLowerCase()", 'client: { country: "AT" }', "c_at"],
    ["'ip_' + client.ip.replaceAll('.', '_')", 'client: { ip: "::ffff:10.0.0.1" }', "ip_10_0_0_1"],
    ["route.name", "", "case"],
  ])("a policy sees %s of { %s }", async (what, members, expected) => {
    const actual = await seen(what, members);
    expect(actual?.startsWith(expected)).toBe(true);
  });

  test("fetch is the case's own, and there is no other", async () => {
    const results = await run(`
      evaluate: async ({ fetch }) => ((await (await fetch("https://x.example/y")).text()) === "https://x.example/y" ? allow() : deny("other")),
      cases: [
        { name: "with", fetch: (url) => new Response(url), expect: "allow" },
        { name: "without", expect: "fault" },
      ]`);
    expect(results).toMatchObject([{ ok: true }, { ok: true }]);
    expect(results[1]?.actual).toContain("a case has no network");
  });

  test("secrets are the case's own", async () => {
    const results = await run(`
      evaluate: ({ secret }) => (secret("KEY") === "k" ? allow() : deny("other")),
      cases: [
        { name: "set", secrets: { KEY: "k" }, expect: "allow" },
        { name: "not set", secrets: {}, expect: "fault" },
      ]`);
    expect(results).toMatchObject([{ ok: true }, { ok: true }]);
  });

  test("a case that cannot be run fails, whatever it expects", async () => {
    const results =
      await run(`options: Type.Object({ n: Type.Number() }), evaluate: () => allow(), cases: [
      { name: "options", options: { n: "x" }, expect: "fault" },
      { name: "time", options: { n: 1 }, now: "tomorrow", expect: "fault" },
      { name: "address", options: { n: 1 }, client: { ip: "300.0.0.1" }, expect: "fault" },
    ]`);
    expect(results.map(({ name, ok, actual }) => [name, ok, actual])).toEqual([
      ["options", false, "option n: expected number"],
      ["time", false, expect.stringContaining("now is no time")],
      ["address", false, expect.stringContaining("client.ip is no address")],
    ]);
  });

  test("only the policies that are named, in order", async () => {
    const one = policy('evaluate: () => allow(), cases: [{ name: "x", expect: "allow" }]');
    await using folder = await policyFolder({ "b.ts": one, "a.ts": one, "c.ts": one });
    const set = await loaded(folder.path);
    const results = await runCases(set, { timeoutMs: 60, names: new Set(["b", "a"]) });
    expect(results.map((result) => result.policy)).toEqual(["a", "b"]);
  });
});

/**
 * `claimgate test` as a user runs it: cases and scenarios, by the gate's own rules.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { claimgateCommand } from "../support/executable.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

/** Each run is a process of its own. */
setDefaultTimeout(30_000);

const CONFIG = `trustedProxies: [127.0.0.1]
issuers:
  - name: okta
    issuer: https://acme.okta.dev
    audiences: [api]
    jwks: jwks.json
    claims: { roles: realm_access.roles }
  - name: partner
    issuer: https://id.partner.dev
    audiences: [api]
    jwks: jwks.json
routes:
  - name: orders
    match: { host: api.acme.dev, path: /orders/*, methods: [GET] }
    upstream: http://127.0.0.1:9
    issuers: [okta]
    policies: [staff, asks]
    identityHeaders: { X-User: sub }
  - name: shared
    match: { path: /shared/* }
    upstream: http://127.0.0.1:9
    issuers: [okta, partner]
    anyAuthenticated: true
  - name: cookies
    match: { path: /cookies/* }
    upstream: http://127.0.0.1:9
    issuers: [okta]
    credentials: [{ cookie: access }]
    policies: [staff]
  - name: open
    match: { path: /open/* }
    upstream: http://127.0.0.1:9
    public: true
`;

const JWKS = JSON.stringify({
  keys: [
    {
      kty: "EC",
      crv: "P-256",
      kid: "one",
      x: "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis",
      y: "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE",
    },
  ],
});

const STAFF = `import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate({ claims }) {
    if (claims.roles.includes("banned")) {
      return deny("banned");
    }
    return claims.roles.includes("staff") ? allow() : deny("role_missing");
  },
  cases: [
    { name: "staff pass", claims: { roles: ["staff"] }, expect: "allow" },
    { name: "guests do not", claims: { roles: ["guest"] }, expect: "deny role_missing" },
  ],
});
`;

/** Looks at everything that a policy may ask for. */
const ASKS = `import { allow, definePolicy, deny } from "claimgate";
export default definePolicy({
  description: "Asks for all there is",
  async evaluate({ request, client, now, history, secret, fetch }) {
    const wanted = request.headers.get("x-ask");
    switch (wanted) {
      case "country": return client.country === "AT" ? allow() : deny("wrong_country");
      case "place": return client.location?.latitude === 48.2 ? allow() : deny("wrong_place");
      case "device": return client.device.browser === "firefox" ? allow() : deny("wrong_device");
      case "address": return client.ip === "10.0.0.7" ? allow() : deny("wrong_address");
      case "hour": return now.getUTCHours() === 3 ? allow() : deny("wrong_hour");
      case "history": return (await history()).requests === 7 ? allow() : deny("wrong_history");
      case "secret": return secret("KEY") === "k-1" ? allow() : deny("wrong_secret");
      case "fetch": {
        const answer = await fetch("https://hr.acme.dev/alice");
        return allow({ headers: { "X-Team": (await answer.json()).team } });
      }
      default: return allow();
    }
  },
  cases: [{ name: "nothing asked", expect: "allow" }],
});
`;

const ALICE = `claims: { sub: alice, roles: [staff] }`;

const folderWith = (scenarios: string, more: Readonly<Record<string, string>> = {}) =>
  tempFolder({
    "claimgate.yaml": CONFIG,
    "jwks.json": JWKS,
    "policies/staff.ts": STAFF,
    "policies/asks.ts": ASKS,
    "all.scenarios.yaml": `scenarios:\n${scenarios}`,
    ...more,
  });

const testIn = (folder: TempFolder, ...args: string[]) =>
  runClaimgate(["test", ...args], { cwd: folder.path });

type Told = { scenario?: string; policy?: string; name: string; ok: boolean } & Record<
  "expected" | "actual" | "file",
  string
> & { line: number; ms: number };

async function jsonOf(folder: TempFolder, ...args: string[]) {
  const { out, err, exitCode } = await testIn(folder, "--json", ...args);
  if (out === "") throw new Error(err);
  const parsed: { passed: number; failed: number; cases: Told[] } = JSON.parse(out);
  return { ...parsed, exitCode, scenarios: parsed.cases.filter((one) => "scenario" in one) };
}

const scenario = (name: string, rest: string) => `  - name: ${name}\n    ${rest}\n`;
const orders = `request: { url: "https://api.acme.dev/orders/1" }`;
const asking = (what: string) =>
  `request: { url: "https://api.acme.dev/orders/1", headers: { X-Ask: ${what} } }\n    ${ALICE}`;

describe("scenarios", () => {
  test("go the way of a live request", async () => {
    await using folder = await folderWith(
      [
        scenario(
          "staff",
          `${orders}\n    ${ALICE}\n    expect: { decision: forward, upstreamHeaders: { X-User: alice, X-Nobody: null } }`,
        ),
        scenario(
          "as the token has it",
          `${orders}\n    claims: { sub: alice, realm_access: { roles: [staff] } }\n    expect: { decision: forward }`,
        ),
        scenario(
          "guest",
          `${orders}\n    claims: { sub: bob, roles: [guest] }\n    expect: { decision: deny, status: 403, code: policy_denied, policy: staff, reason: role_missing }`,
        ),
        scenario(
          "no token",
          `${orders}\n    expect: { decision: deny, status: 401, code: token_missing }`,
        ),
        scenario(
          "no route",
          `request: { url: "https://other.acme.dev/" }\n    expect: { status: 404, code: route_not_found }`,
        ),
        scenario(
          "no method",
          `request: { method: POST, url: "https://api.acme.dev/orders/1" }\n    expect: { status: 405 }`,
        ),
        scenario(
          "public",
          `request: { url: "https://other.acme.dev/open/a" }\n    expect: { decision: forward }`,
        ),
        scenario(
          "expired",
          `${orders}\n    claims: { sub: alice, exp: 1767610000 }\n    at: 2026-01-05T12:00:00Z\n    expect: { code: token_expired }`,
        ),
        scenario(
          "audience",
          `${orders}\n    claims: { sub: alice, aud: web }\n    expect: { code: token_invalid, reason: audience_mismatch }`,
        ),
        scenario(
          "whose",
          `request: { url: "https://x.acme.dev/shared/" }\n    issuer: partner\n    claims: { sub: alice }\n    expect: { decision: forward }`,
        ),
        scenario(
          "stranger",
          `${orders}\n    issuer: partner\n    ${ALICE}\n    expect: { code: token_invalid, reason: issuer_unknown }`,
        ),
        scenario(
          "cookie",
          `request: { url: "https://x.acme.dev/cookies/" }\n    ${ALICE}\n    expect: { decision: forward }`,
        ),
        scenario("garbled", `${orders}\n    token: a.b.c\n    expect: { code: token_invalid }`),
        scenario(
          "behind a proxy",
          `request: { url: "https://api.acme.dev/orders/1", ip: 127.0.0.1, headers: { X-Forwarded-For: 10.0.0.7, X-Ask: address } }\n    ${ALICE}\n    expect: { decision: forward }`,
        ),
      ].join(""),
    );
    const { exitCode, scenarios, failed } = await jsonOf(folder);
    expect(scenarios.filter(({ ok }) => !ok)).toEqual([]);
    expect({ exitCode, failed, count: scenarios.length }).toEqual({
      exitCode: 0,
      failed: 0,
      count: 14,
    });
  });

  test("give policies whatever they ask for", async () => {
    await using folder = await folderWith(
      [
        scenario(
          "country",
          `${asking("country")}\n    country: AT\n    expect: { decision: forward }`,
        ),
        scenario(
          "place",
          `${asking("place")}\n    location: { latitude: 48.2, longitude: 16.4 }\n    expect: { decision: forward }`,
        ),
        scenario(
          "device",
          `${asking("device")}\n    device: { browser: firefox }\n    expect: { decision: forward }`,
        ),
        scenario(
          "hour",
          `${asking("hour")}\n    at: 2026-01-05T03:30:00Z\n    expect: { decision: forward }`,
        ),
        scenario(
          "history",
          `${asking("history")}\n    history: { requests: 7, addresses: [{ ip: 10.0.0.1, country: AT }] }\n    expect: { decision: forward }`,
        ),
        scenario(
          "secret",
          `${asking("secret")}\n    secrets: { KEY: k-1 }\n    expect: { decision: forward }`,
        ),
        scenario(
          "fetch",
          `${asking("fetch")}\n    fetch: { "https://hr.acme.dev/alice": { json: { team: blue } } }\n    expect: { decision: forward, upstreamHeaders: { X-Team: blue } }`,
        ),
        scenario(
          "fetch again",
          `${asking("fetch")}\n    fetch: { "https://hr.acme.dev/alice": { json: { team: red } } }\n    expect: { upstreamHeaders: { X-Team: red } }`,
        ),
        scenario(
          "no network",
          `${asking("fetch")}\n    expect: { code: policy_fault, reason: threw }`,
        ),
        scenario(
          "none of it",
          `${asking("country")}\n    expect: { policy: asks, reason: wrong_country }`,
        ),
      ].join(""),
    );
    const { scenarios } = await jsonOf(folder);
    expect(scenarios.filter(({ ok }) => !ok)).toEqual([]);
    expect(scenarios).toHaveLength(10);
  });

  test("that fail say what differs, by policy and route", async () => {
    await using folder = await folderWith(
      scenario(
        "guest",
        `${orders}\n    claims: { sub: bob, roles: [guest] }\n    expect: { decision: forward }`,
      ) +
        scenario(
          "header",
          `${orders}\n    ${ALICE}\n    expect: { decision: forward, upstreamHeaders: { X-User: bob } }`,
        ) +
        scenario(
          "unclear",
          `request: { url: "https://x.acme.dev/shared/" }\n    claims: { sub: a }\n    expect: { decision: forward }`,
        ),
    );
    const { exitCode, out, err } = await testIn(folder);
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: "" });
    expect(out.replaceAll(/\d+\.\d ms/g, "0.0 ms")).toBe(`policy asks
  ✓ nothing asked  0.0 ms

policy staff
  ✓ staff pass  0.0 ms
  ✓ guests do not  0.0 ms

route orders
  ✗ guest  all.scenarios.yaml:2  0.0 ms
      - expected  + actual
    - decision: forward
    + decision: deny
    + status: 403
    + code: policy_denied
    + policy: staff
    + reason: role_missing
  ✗ header  all.scenarios.yaml:6  0.0 ms
      - expected  + actual
      decision: forward
    - header X-User: "bob"
    + header X-User: "alice"

route shared
  ✗ unclear  all.scenarios.yaml:10  0.0 ms
      - expected  + actual
    - decision: forward
    + decision: (none)
    + cannot be run: route shared trusts okta, partner: add issuer, to say whose claims these are

3 passed, 3 failed (0.0 ms)
`);
  });

  test("that are badly written are told with their places", async () => {
    await using folder = await folderWith(`  - name: slips
    requst: { url: "https://api.acme.dev/" }
    expect: { decsion: deny }
  - name: contradictions
    request: { url: "https://api.acme.dev/", ip: 300.1.1.1 }
    claims: { sub: a }
    token: a.b.c
    issuer: okto
    at: yesterday
    country: Austria
    history: { lastSeen: once }
    expect: { decision: forward, code: policy_denied, policy: stuff }
  - name: types
    request: "https://api.acme.dev/"
    expect: {}
`);
    const { exitCode, out, err } = await testIn(folder);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    const told = err.split("\n").filter((line) => line.startsWith("all.scenarios.yaml:"));
    expect(told).toEqual([
      "all.scenarios.yaml:2:5  error  scenarios[0] has no request",
      "all.scenarios.yaml:3:5  error  unknown key requst: did you mean request?",
      "all.scenarios.yaml:4:15  error  unknown key decsion: did you mean decision?",
      "all.scenarios.yaml:6:50  error  ip takes an address, like 10.0.0.7",
      "all.scenarios.yaml:8:12  error  claims and token exclude each other",
      'all.scenarios.yaml:9:13  error  there is no issuer "okto"',
      "all.scenarios.yaml:10:9  error  at takes a time with its zone, like 2026-01-05T10:00:00Z",
      "all.scenarios.yaml:11:14  error  country is two capital letters (ISO 3166-1)",
      "all.scenarios.yaml:13:40  error  what is forwarded has no code of the gate's",
      'all.scenarios.yaml:13:63  error  there is no policy "stuff"',
      'all.scenarios.yaml:15:14  error  request must be a map, found text "https://api.acme.dev/"',
    ]);
    expect(err).toContain("did you mean okta?");
    expect(err).toContain("did you mean staff?");
    expect(err).toEndWith("claimgate: the scenarios do not hold: 11 errors\n");
  });
});

describe("claimgate test", () => {
  const two =
    scenario("one", `${orders}\n    expect: { status: 401 }`) +
    scenario("two", `${orders}\n    expect: { status: 401 }`);

  test("--json has the shape that the contract names", async () => {
    await using folder = await folderWith(
      scenario("one", `${orders}\n    expect: { status: 401 }`),
    );
    const { passed, failed, cases } = await jsonOf(folder);
    expect({ passed, failed }).toEqual({ passed: 4, failed: 0 });
    expect(cases.at(-1)).toEqual({
      scenario: "one",
      name: "one",
      ok: true,
      expected: "status 401",
      actual: "status 401",
      file: "all.scenarios.yaml",
      line: 2,
      ms: expect.any(Number),
    });
    expect(cases[1]).toEqual({
      policy: "staff",
      name: "staff pass",
      ok: true,
      expected: "allow",
      actual: "allow",
      file: "policies/staff.ts",
      line: 12,
      ms: expect.any(Number),
    });
  });

  test("what comes with the binary and holds is one line, in JSON it is whole", async () => {
    const requires = "policies: [{ require-roles: { anyOf: [staff] } }]";
    await using folder = await folderWith(two, {
      "claimgate.yaml": CONFIG.replace("policies: [staff, asks]", requires),
    });
    const { out } = await testIn(folder, "require-roles");
    expect(out.replaceAll(/\d+(\.\d)? (?!cases)/g, "# ")).toBe(
      "policy require-roles\n  ✓ 9 cases that come with the binary  # ms\n\n# passed (# ms)\n",
    );
    expect((await jsonOf(folder, "require-roles")).cases).toHaveLength(9);
  });

  test("a filter picks by policy, case, scenario or file", async () => {
    await using folder = await folderWith(two, { "b.scenarios.yaml": `scenarios:\n${two}` });
    const named = async (filter: string) =>
      (await jsonOf(folder, filter)).cases.map(({ name }) => name);
    expect(await named("STAFF")).toEqual(["staff pass", "guests do not"]);
    expect(await named("guests")).toEqual(["guests do not"]);
    expect(await named("two")).toEqual(["two", "two"]);
    expect(await named("b.scenarios")).toEqual(["one", "two"]);
    const none = await testIn(folder, "nothing-of-this");
    expect({ exitCode: none.exitCode, out: none.out }).toEqual({ exitCode: 2, out: "" });
  });

  test("a case that fails is a result; a policy with a type error is none", async () => {
    await using folder = await folderWith(two);
    await folder.write("policies/staff.ts", STAFF.replace(`"deny role_missing"`, `"allow"`));
    const failing = await testIn(folder, "guests");
    expect(failing.exitCode).toBe(1);
    expect(failing.out).toContain("    - allow\n    + deny role_missing\n");
    await folder.write(
      "policies/staff.ts",
      STAFF.replace("claims.roles.includes", "claims.role.includes"),
    );
    const broken = await testIn(folder);
    expect({ exitCode: broken.exitCode, out: broken.out }).toEqual({ exitCode: 1, out: "" });
    expect(broken.err).toContain("policies/staff.ts:6:9  error");
    const missing = await testIn(folder, "--config", "other.yaml");
    expect(missing.exitCode).toBe(2);
  });

  test("--junit writes what CI servers read", async () => {
    const odd = scenario(`'a <b> & "c"'`, `${orders}\n    expect: { status: 200 }`);
    await using folder = await folderWith(odd);
    const { exitCode } = await testIn(folder, "--junit", "out.xml", "a <b>");
    expect(exitCode).toBe(1);
    const xml = await Bun.file(`${folder.path}/out.xml`).text();
    expect(
      xml.replaceAll(/time="[\d.]+"/g, `time="0"`),
    ).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="claimgate" tests="1" failures="1" errors="0" time="0">
  <testsuite name="route orders" tests="1" failures="1" errors="0" time="0">
    <testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="route orders" file="all.scenarios.yaml" line="2" time="0">
      <failure message="expected status 200, got decision deny, status 401, code token_missing, reason credential_missing">all.scenarios.yaml:2
expected: status 200
actual:   decision deny, status 401, code token_missing, reason credential_missing</failure>
    </testcase>
  </testsuite>
</testsuites>
`);
  });

  test("--coverage shows lines and codes that nothing reaches, and scenarios count", async () => {
    await using folder = await folderWith(two, {
      "policies/_unused.ts": "export const unused = 1;\n",
    });
    const first = await testIn(folder, "--coverage");
    expect(first.exitCode).toBe(0);
    const [, told = ""] = first.out.split("\n\nlines of");
    expect(told).toMatch(/^policies\/_unused\.ts +- +no policy imports it$/m);
    expect(told).toMatch(/^policies\/staff\.ts +\d\d % +7$/m);
    expect(told).toMatch(/^ {2}staff: banned$/m);
    const banned = scenario(
      "x",
      `${orders}\n    claims: { sub: a, roles: [banned] }\n    expect: { reason: banned }`,
    );
    await folder.write("all.scenarios.yaml", `scenarios:\n${banned}`);
    const second = await testIn(folder, "--coverage", "--json");
    expect(JSON.parse(second.out)).toMatchObject({ passed: 4, failed: 0 });
    expect(second.err).toMatch(/^policies\/staff\.ts +100 %$/m);
    expect(second.err).not.toContain("staff: banned");
  });

  test("--watch shows what a change touches", async () => {
    await using folder = await folderWith(two, { "b.scenarios.yaml": `scenarios:\n${two}` });
    const child = Bun.spawn([...claimgateCommand(), "test", "--watch"], {
      cwd: folder.path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const runs: string[] = [];
    let text = "";
    let wake = () => {};
    const reading = (async () => {
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk);
        for (let end = text.indexOf(" ms)\n"); end >= 0; end = text.indexOf(" ms)\n")) {
          runs.push(text.slice(0, end));
          text = text.slice(end + 5);
          wake();
        }
      }
    })();
    const run = async (index: number): Promise<string> => {
      while (runs.length <= index) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return runs[index] ?? "";
    };
    expect(await run(0)).toContain("7 passed");
    await folder.write("b.scenarios.yaml", `scenarios:\n${two.replace("401", "403")}`);
    expect(await run(1)).toContain("1 passed, 1 failed");
    await folder.write("policies/staff.ts", STAFF.replace("guests", "visitors"));
    const third = await run(2);
    expect(third).toContain("visitors do not");
    expect(third).toContain("✗ one");
    expect(third).not.toContain("✓ two");
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    await reading;
  });
});

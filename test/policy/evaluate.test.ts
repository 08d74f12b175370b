import { describe, expect, test } from "bun:test";
import { evaluate } from "../../src/policy/evaluate.ts";
import { loadPolicies } from "../../src/policy/load.ts";
import { compiled, loaded, policy, policyFolder, question, ref } from "./policy-folder.ts";

const LIMIT_MS = 60;

/** Asks one policy of these members. */
async function ask(members: string, about = question(), before = "") {
  await using folder = await policyFolder({ "one.ts": policy(members, before) });
  const set = await loaded(folder.path);
  const answer = evaluate(compiled(set, ref("one")), about, LIMIT_MS);
  const evaluation = await answer;
  set.dispose();
  return { ...evaluation, wasSynchronous: !(answer instanceof Promise) };
}

describe("evaluate()", () => {
  test("answers at once where policies do", async () => {
    const { verdict, outcomes, wasSynchronous } = await ask("evaluate: () => allow()");
    expect(wasSynchronous).toBe(true);
    expect(verdict).toEqual({ kind: "allow", headers: {} });
    expect(outcomes).toEqual([
      { name: "one", verdict: "allow", ms: expect.any(Number), shadow: false },
    ]);
  });

  test("waits for a policy that does not", async () => {
    const { verdict, wasSynchronous } = await ask(
      'evaluate: async () => { await 1; return deny("later", "why"); }',
    );
    expect(wasSynchronous).toBe(false);
    expect(verdict).toEqual({ kind: "deny", policy: "one", code: "later", detail: "why" });
  });

  test.each(["token", "session", "subject"])(
    "a denial may ask to revoke the %s",
    async (revoke) => {
      const { verdict } = await ask(
        `evaluate: () => deny("stolen", "why", { revoke: "${revoke}" })`,
      );
      const denial = { kind: "deny", policy: "one", code: "stolen", detail: "why" };
      expect(verdict).toEqual({ ...denial, revoke } as unknown as typeof verdict);
    },
  );

  test.each(["issuer", "everybody", "", null, true])(
    "a denial that would revoke %p is nonsense",
    async (revoke) => {
      const { verdict } = await ask(
        `evaluate: () => ({ verdict: "deny", code: "no", revoke: ${JSON.stringify(revoke)} })`,
      );
      expect(verdict).toMatchObject({ kind: "fault", code: "nonsense" });
    },
  );

  test("a challenge comes in normal form", async () => {
    const { verdict } = await ask('evaluate: () => challenge({ acr: "mfa", maxAge: 60 })');
    const challenge = { acr: ["mfa"], maxAge: 60 };
    expect(verdict).toEqual({ kind: "challenge", policy: "one", challenge });
  });

  test("claims that do not fit are a denial, and evaluate is not asked", async () => {
    const members =
      "claims: Type.Object({ roles: Type.Array(Type.String()) }), evaluate() { throw 1; }";
    const { verdict, outcomes } = await ask(members, question({ roles: "admin" }));
    expect(verdict).toMatchObject({ kind: "deny", policy: "one", code: "claims_mismatch" });
    expect(outcomes).toMatchObject([{ verdict: "deny", code: "claims_mismatch" }]);
  });

  test("claims beyond the schema stay as the token has them", async () => {
    const members =
      'claims: Type.Object({ sub: Type.String() }), evaluate: ({ claims }) => (claims.extra === 7 ? allow() : deny("lost"))';
    const { verdict } = await ask(members, question({ sub: "alice", extra: 7 }));
    expect(verdict.kind).toBe("allow");
  });

  test("a known token's claims are not checked a second time", async () => {
    await using folder = await policyFolder({
      "one.ts": policy("claims: Type.Object({ n: Type.Number() }), evaluate: () => allow()"),
    });
    const program = compiled(await loaded(folder.path), ref("one"));
    const about = question({ n: 1 });
    evaluate(program, about, LIMIT_MS);
    expect(program.fits.get(about.token.claims)).toEqual([true]);
    program.fits.set(about.token.claims, [false]);
    expect(evaluate(program, about, LIMIT_MS)).toMatchObject({ verdict: { kind: "deny" } });
  });

  test("headers go as byte strings, the later of two policies wins whatever the case", async () => {
    await using folder = await policyFolder({
      "a.ts": policy('evaluate: () => allow({ headers: { "X-Tier": "one", "X-Name": "Zoë" } })'),
      "b.ts": policy('evaluate: async () => allow({ headers: { "x-tier": "two" } })'),
    });
    const set = await loaded(folder.path);
    const { verdict } = await evaluate(compiled(set, ref("a"), ref("b")), question(), LIMIT_MS);
    const name = Buffer.from("Zoë").toString("latin1");
    expect(verdict).toEqual({ kind: "allow", headers: { "x-tier": "two", "X-Name": name } });
  });
});

describe("rate limits", () => {
  test.each([
    ['{ limit: 5, per: "1m", by: "subject" }', { limit: 5, perMs: 60_000, by: "subject" }],
    ['{ limit: 1, per: "500ms", by: "token" }', { limit: 1, perMs: 500, by: "token" }],
    [
      '{ limit: 1e6, per: "31d", by: "address" }',
      { limit: 1_000_000, perMs: 2_678_400_000, by: "address" },
    ],
    [
      '{ limit: 2, per: "1s", by: { key: "export" } }',
      { limit: 2, perMs: 1_000, by: { key: "export" } },
    ],
  ])("%s comes in normal form, with the policy's name", async (written, read) => {
    const { verdict } = await ask(`evaluate: () => allow({ rateLimit: ${written} })`);
    const rateLimits = [{ policy: "one", ...read }];
    expect(verdict).toEqual({ kind: "allow", headers: {}, rateLimits } as never);
  });

  test("stand beside headers", async () => {
    const { verdict } = await ask(
      'evaluate: () => allow({ headers: { "X-A": "1" }, rateLimit: { limit: 5, per: "1m", by: "token" } })',
    );
    const rateLimits = [{ policy: "one", limit: 5, perMs: 60_000, by: "token" }] as const;
    expect(verdict).toEqual({ kind: "allow", headers: { "X-A": "1" }, rateLimits });
  });

  test.each([
    "5",
    "null",
    "[]",
    '{ per: "1m", by: "subject" }',
    '{ limit: 0, per: "1m", by: "subject" }',
    '{ limit: -1, per: "1m", by: "subject" }',
    '{ limit: 1.5, per: "1m", by: "subject" }',
    '{ limit: "5", per: "1m", by: "subject" }',
    '{ limit: 1000001, per: "1m", by: "subject" }',
    '{ limit: NaN, per: "1m", by: "subject" }',
    '{ limit: 5, by: "subject" }',
    '{ limit: 5, per: 60, by: "subject" }',
    '{ limit: 5, per: "0s", by: "subject" }',
    '{ limit: 5, per: "0.5ms", by: "subject" }',
    '{ limit: 5, per: "32d", by: "subject" }',
    '{ limit: 5, per: "a minute", by: "subject" }',
    '{ limit: 5, per: "1m" }',
    '{ limit: 5, per: "1m", by: "everyone" }',
    '{ limit: 5, per: "1m", by: {} }',
    '{ limit: 5, per: "1m", by: { key: "" } }',
    '{ limit: 5, per: "1m", by: { key: 7 } }',
    '{ limit: 5, per: "1m", by: { key: "k".repeat(513) } }',
  ])("%s is nonsense", async (rateLimit) => {
    const { verdict } = await ask(`evaluate: () => allow({ rateLimit: ${rateLimit} })`);
    expect(verdict).toMatchObject({ kind: "fault", policy: "one", code: "nonsense" });
  });
});

describe("what a policy gets", () => {
  test("is what was asked about", async () => {
    const members = `evaluate({ claims, token, request, client, route, now }) {
      const seen = { claims, token, route, now, client,
        request: { ...request, query: [...request.query], headers: [...request.headers] } };
      return deny("seen", JSON.stringify(seen));
    }`;
    const { verdict } = await ask(members, question({ sub: "alice" }, "?a=1&b=2"));
    expect(JSON.parse(verdict.kind === "deny" ? (verdict.detail ?? "") : "")).toEqual({
      claims: { sub: "alice" },
      token: {
        issuer: "https://issuer.example",
        subject: "alice",
        audience: ["api"],
        id: "token-1",
        scopes: ["read"],
        issuedAt: "2026-01-05T08:00:00.000Z",
        expiresAt: "2026-01-05T09:00:00.000Z",
      },
      route: { name: "orders" },
      now: "2026-01-05T08:01:00.000Z",
      client: {
        ip: "192.0.2.1",
        device: { platform: "linux", browser: "firefox", mobile: false },
      },
      request: {
        method: "POST",
        url: "https://api.example:8443/orders/1?a=1&b=2",
        host: "api.example",
        path: "/orders/1",
        id: "01900000-0000-7000-8000-000000000000",
        query: [
          ["a", "1"],
          ["b", "2"],
        ],
        headers: [["x-case", "7"]],
      },
    });
  });

  test.each([
    ["claims", "claims.roles.push('admin')"],
    ["a claim deep down", "claims.org.plan = 'pro'"],
    ["options", "options.list.push(1)"],
    ["the token", "token.subject = 'mallory'"],
    ["the token's scopes", "token.scopes.push('write')"],
    ["the token's audience", "token.audience.length = 0"],
    ["the request", "request.path = '/public'"],
    ["the client", "client.ip = '10.0.0.1'"],
    ["the device", "client.device.mobile = true"],
    ["the route", "route.name = 'other'"],
  ])("cannot be changed: %s", async (_what, attempt) => {
    const members = `options: Type.Object({ list: Type.Array(Type.Number(), { default: [] }) }),
      evaluate({ claims, options, token, request, client, route }) { ${attempt}; return allow(); }`;
    const { verdict } = await ask(members, question({ roles: ["staff"], org: { plan: "free" } }));
    expect(verdict).toMatchObject({ kind: "fault", code: "threw" });
  });

  test("what can be changed is a copy: neither the next policy nor the gate sees it", async () => {
    await using folder = await policyFolder({
      "a.ts": policy(`evaluate({ request, token, now }) {
        request.headers.set("X-Case", "8"); request.query.set("a", "9");
        now.setTime(0); token.expiresAt.setTime(0); token.issuedAt.setTime(0);
        return allow();
      }`),
      "b.ts": policy(`evaluate({ request, token, now }) {
        const same = request.headers.get("X-Case") === "7" && request.query.get("a") === "1";
        const times = [now, token.expiresAt, token.issuedAt].every((date) => date.getTime() > 0);
        return same && times ? allow() : deny("changed");
      }`),
    });
    const about = question({}, "?a=1");
    const program = compiled(await loaded(folder.path), ref("a"), ref("b"));
    expect(evaluate(program, about, LIMIT_MS)).toMatchObject({ verdict: { kind: "allow" } });
    expect(about.inquiry.headers.get("X-Case")).toBe("7");
  });

  test("secret() reads the environment, and closes for one that is not set", async () => {
    process.env.CLAIMGATE_TEST_SECRET = "s3cret";
    try {
      const reads = (name: string) =>
        ask(`evaluate: ({ secret }) => (secret("${name}") === "s3cret" ? allow() : deny("other"))`);
      expect((await reads("CLAIMGATE_TEST_SECRET")).verdict.kind).toBe("allow");
      expect((await reads("CLAIMGATE_TEST_UNSET")).verdict).toMatchObject({
        kind: "fault",
        code: "threw",
        detail: "Error: secret CLAIMGATE_TEST_UNSET is not set",
      });
      const careless = 'evaluate({ secret }) { throw new Error(secret("CLAIMGATE_TEST_SECRET")); }';
      const { verdict } = await ask(careless);
      expect(verdict).toMatchObject({ detail: "Error: […]" });
      expect(JSON.stringify(verdict)).not.toContain("s3cret");
    } finally {
      delete process.env.CLAIMGATE_TEST_SECRET;
    }
  });

  test("fetch reaches a server, and does not follow redirects by itself", async () => {
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ url }) =>
        url.endsWith("/go") ? Response.redirect("/there") : new Response("here"),
    });
    const members = `evaluate: async ({ fetch }) => {
      const response = await fetch("${server.url}" + "go");
      return deny("got_" + response.status);
    }`;
    expect((await ask(members)).verdict).toMatchObject({ code: "got_302" });
  });

  test("fetch and signal end at the limit", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const about = {
      ...question(),
      fetch: (_url: string, init: RequestInit = {}) =>
        new Promise<Response>((_, reject) => {
          init.signal?.addEventListener("abort", () => {
            aborted.resolve(init.signal?.reason);
            reject(init.signal?.reason);
          });
        }),
    };
    const { verdict } = await ask(
      'evaluate: async ({ fetch }) => { await fetch("https://x.example"); return allow(); }',
      about,
    );
    expect(verdict).toMatchObject({ kind: "fault", code: "timeout" });
    expect(await aborted.promise).toMatchObject({ name: "TimeoutError" });
  });
});

describe("faults", () => {
  test("a policy that throws, with its place and without what the token holds", async () => {
    const { verdict } = await ask(
      "evaluate({ claims }) { throw new TypeError('no plan for ' + claims.sub + ': ' + claims.age); }",
      question({ sub: "alice-in-wonderland", age: 123_456 }),
    );
    expect(verdict).toMatchObject({
      kind: "fault",
      policy: "one",
      code: "threw",
      detail: "TypeError: no plan for […]: […]",
    });
    expect(verdict.kind === "fault" && verdict.stack).toMatch(/at evaluate \(.*one\.ts:3:\d+\)/);
    expect(JSON.stringify(verdict)).not.toContain("wonderland");
  });

  test("a service that does not answer is named without what the token and secrets put there", async () => {
    process.env.CLAIMGATE_TEST_SECRET = "s3cret/+key==";
    try {
      const { verdict } = await ask(
        `async evaluate({ claims, secret, fetch }) {
          const key = encodeURIComponent(secret("CLAIMGATE_TEST_SECRET"));
          const path = encodeURIComponent(claims.email) + "/" + claims.name + "/" + key;
          await fetch("http://" + claims.tenant + ".localhost:1/" + path);
          return allow();
        }`,
        question({ email: "zoe@acme.dev", name: "Zoë Äpfel", tenant: "ACME-Corp" }),
      );
      expect(verdict).toMatchObject({
        detail: "Error: http://[…].localhost:1/[…]/[…]/[…] could not be asked (ECONNREFUSED)",
      });
      expect(JSON.stringify(verdict)).not.toMatch(/zoe|zo%c3|acme|s3cret/i);
    } finally {
      delete process.env.CLAIMGATE_TEST_SECRET;
    }
  });

  test("a value that was escaped as JSON", async () => {
    const { verdict } = await ask(
      "evaluate({ claims }) { throw new Error(JSON.stringify({ claims })); }",
      question({ name: 'a "quoted\\ name" of hers' }),
    );
    expect(JSON.stringify(verdict)).not.toContain("hers");
  });

  test.each([
    ["authorization", "Bearer secret-token.part", ".slice(7)"],
    ["x-token", "Bearer secret-token.part", ".slice(7)"],
    ["cookie", "theme=dark; sid=secret-token; last=1", '.split("sid=")[1]'],
    ["cookie", "theme=dark; sid=secret-token==", '.split("; ")[1]'],
  ])("a policy that quotes a piece of %s: %s", async (name, value, take) => {
    const { inquiry, ...rest } = question();
    const headers = new Headers({ [name]: value });
    const { verdict } = await ask(
      `evaluate({ request }) { throw new Error("not " + request.headers.get("${name}")${take}); }`,
      { ...rest, inquiry: { ...inquiry, headers } },
    );
    expect(verdict).toMatchObject({ kind: "fault", code: "threw" });
    expect(JSON.stringify(verdict)).not.toContain("secret-token");
  });

  test.each(["throw null", "throw 'text'", "return Promise.reject(7)", "return Promise.reject()"])(
    "%s is a fault too",
    async (statement) => {
      const { verdict } = await ask(`evaluate() { ${statement}; }`);
      expect(verdict).toMatchObject({ kind: "fault", code: "threw" });
    },
  );

  test("an endless loop is cut, and the process goes on", async () => {
    const { verdict, outcomes } = await ask("evaluate() { for (;;) {} }");
    expect(outcomes[0]?.ms).toBeLessThan(LIMIT_MS * 30);
    const detail = `no answer within ${LIMIT_MS} ms`;
    expect(verdict).toEqual({ kind: "fault", policy: "one", code: "timeout", detail });
  });

  test("so is one in an async function, before its first await", async () => {
    const { verdict } = await ask("async evaluate() { for (;;) {} }");
    expect(verdict).toMatchObject({ kind: "fault", code: "timeout" });
  });

  test("so is one that catches everything", async () => {
    const { verdict } = await ask(
      "evaluate() { for (;;) { try { for (;;) {} } catch {} finally { } } }",
    );
    expect(verdict).toMatchObject({ kind: "fault", code: "timeout" });
  });

  test("the policy that loops is the one to blame", async () => {
    await using folder = await policyFolder({
      "a.ts": policy("evaluate: () => allow()"),
      "b.ts": policy("evaluate() { for (;;) {} }"),
      "c.ts": policy("evaluate: () => allow()"),
    });
    const program = compiled(await loaded(folder.path), ref("a"), ref("b"), ref("c"));
    const { verdict, outcomes } = await evaluate(program, question(), LIMIT_MS);
    expect(verdict).toMatchObject({ kind: "fault", policy: "b", code: "timeout" });
    expect(outcomes.map(({ name, verdict: answer }) => [name, answer])).toEqual([
      ["a", "allow"],
      ["b", "fault"],
    ]);
  });

  test("the limit is each policy's: slow ones do not add up", async () => {
    const slow = policy(`evaluate() {
      const until = performance.now() + 800;
      while (performance.now() < until) {}
      return allow();
    }`);
    await using folder = await policyFolder({ "a.ts": slow, "b.ts": slow });
    const program = compiled(await loaded(folder.path), ref("a"), ref("b"));
    const { verdict } = await evaluate(program, question(), 1_500);
    expect(verdict.kind).toBe("allow");
  });

  test("a promise that never settles ends at the limit", async () => {
    const { verdict } = await ask("evaluate: () => new Promise(() => {})");
    expect(verdict).toMatchObject({ kind: "fault", policy: "one", code: "timeout" });
  });

  test("a loop under shadow is cut, and the rest is asked", async () => {
    await using folder = await policyFolder({
      "loop.ts": policy("evaluate() { for (;;) {} }"),
      "after.ts": policy("evaluate: () => allow()"),
    });
    const shadow = { kind: "shadow", of: ref("loop"), path: [] } as const;
    const program = compiled(await loaded(folder.path), shadow, ref("after"));
    const { verdict, outcomes } = await evaluate(program, question(), LIMIT_MS);
    expect(verdict.kind).toBe("allow");
    expect(outcomes).toMatchObject([
      { name: "loop", verdict: "fault", code: "timeout", shadow: true },
      { name: "after", verdict: "allow", shadow: false },
    ]);
  });

  test.each([
    ["nothing", "undefined"],
    ["true", "true"],
    ["a string", '"allow"'],
    ["a list", "[allow()]"],
    ["an object without a verdict", "({})"],
    ["a verdict of no kind", '({ verdict: "maybe" })'],
    ["a getter that throws", "({ get verdict() { throw 1; } })"],
    ["a proxy that throws", "new Proxy({}, { get() { throw 1; }, has() { throw 1; } })"],
    ["a code with capitals", 'deny("RoleMissing")'],
    ["a code with spaces", 'deny("role missing")'],
    ["no code", 'deny("")'],
    ["a detail that is no string", 'deny("no", { sub: 1 })'],
    ["headers that are Headers", "allow({ headers: new Headers() })"],
    ["a header name with a space", 'allow({ headers: { "X A": "1" } })'],
    ["a header with a line break", 'allow({ headers: { "X-A": "1\\r\\nX-B: 2" } })'],
    ["a header that is a number", 'allow({ headers: { "X-A": 1 } })'],
    ["a challenge for nothing", "challenge({})"],
    ["a challenge with a quote", "challenge({ acr: 'a\"b' })"],
    ["a challenge with half a second", "challenge({ maxAge: 0.5 })"],
    ["a challenge for no scopes", "challenge({ scope: [] })"],
  ])("%s is nonsense", async (_what, answer) => {
    const about = question();
    const sync = await ask(`evaluate: () => ${answer}`, about);
    const later = await ask(`evaluate: async () => { await 1; return ${answer}; }`, about);
    // Awaiting asks an object for its \`then\`: what throws there has thrown.
    const code = answer.startsWith("new Proxy") ? "threw" : "nonsense";
    expect(sync.verdict).toMatchObject({ kind: "fault", policy: "one", code });
    expect(later.verdict).toMatchObject({ kind: "fault", policy: "one", code });
  });

  test.each(
    `connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer
    transfer-encoding upgrade content-length host expect forwarded x-forwarded-for x-forwarded-host
    x-forwarded-proto x-real-ip x-request-id x-original-url x-original-uri x-rewrite-url
    x-http-method-override x-http-method x-method-override
    content_length x_real_ip X.Forwarded.For x-forwarded_proto`.split(/\s+/),
  )("setting %s is nonsense", async (name) => {
    const { verdict } = await ask(`evaluate: () => allow({ headers: { "${name}": "1" } })`);
    expect(verdict).toMatchObject({ kind: "fault", code: "nonsense" });
  });

  test("a verdict of the right shape is one, whoever made it", async () => {
    const { verdict } = await ask('evaluate: () => ({ verdict: "deny", code: "by_hand" })');
    expect(verdict).toEqual({ kind: "deny", policy: "one", code: "by_hand" });
  });

  test("what fails where nobody waits is told, and ends nothing", async () => {
    const told = Promise.withResolvers<unknown>();
    await using folder = await policyFolder({
      "one.ts": policy(`evaluate() {
        Promise.reject(new Error("nobody waits for this"));
        return allow();
      }`),
    });
    const set = await loadPolicies(folder.path, told.resolve);
    if (!set.ok) throw new Error("it must load");
    const { verdict } = await evaluate(compiled(set.value, ref("one")), question(), LIMIT_MS);
    expect(verdict.kind).toBe("allow");
    expect(await told.promise).toMatchObject({ message: "nobody waits for this" });
  });

  /** As a reload or a busy machine would, from outside the policy. */
  const holdThread = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };

  test("an answer that was there in time counts, whoever held the thread meanwhile", async () => {
    await using folder = await policyFolder({
      "one.ts": policy(`evaluate: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return allow();
      }`),
    });
    const set = await loaded(folder.path);
    const answer = evaluate(compiled(set, ref("one")), question(), LIMIT_MS);
    holdThread(2 * LIMIT_MS);
    expect((await answer).verdict.kind).toBe("allow");
    set.dispose();
  });

  test("a policy that holds the thread for far longer than its time is a fault", async () => {
    const { verdict } = await ask(`evaluate: async () => {
      await 1;
      const end = performance.now() + ${LIMIT_MS} + 1_100;
      while (performance.now() < end);
      return allow();
    }`);
    expect(verdict).toMatchObject({ kind: "fault", code: "timeout" });
  });

  test("a promise that is rejected after the limit is nobody's business", async () => {
    const strays: unknown[] = [];
    await using folder = await policyFolder({
      "one.ts": policy(`evaluate: ({ signal }) => new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("too late")));
      })`),
    });
    const set = await loadPolicies(folder.path, (error) => strays.push(error));
    if (!set.ok) throw new Error("it must load");
    const { verdict } = await evaluate(compiled(set.value, ref("one")), question(), LIMIT_MS);
    expect(verdict).toMatchObject({ kind: "fault", code: "timeout" });
    await Bun.sleep(0); // one turn, in which an unhandled rejection would be told
    expect(strays).toEqual([]);
  });
});

describe("dispose()", () => {
  test("waits for the evaluation in flight", async () => {
    await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => answer.promise });
    const answer = Promise.withResolvers<Response>();
    await using folder = await policyFolder({
      "one.ts": policy(
        `evaluate: async ({ fetch }) => deny("got_" + (await fetch("${server.url}")).status)`,
      ),
    });
    const set = await loaded(folder.path);
    const evaluation = evaluate(compiled(set, ref("one")), question(), 5_000);
    set.dispose();
    answer.resolve(new Response("late", { status: 201 }));
    expect((await evaluation).verdict).toMatchObject({ kind: "deny", code: "got_201" });
  });

  test("closes what policies opened", async () => {
    await using folder = await policyFolder({
      "one.ts": policy(
        "evaluate: () => deny('port_' + server.port)",
        'const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("open") });',
      ),
    });
    const set = await loaded(folder.path);
    const { verdict } = await evaluate(compiled(set, ref("one")), question(), LIMIT_MS);
    const port = verdict.kind === "deny" ? verdict.code.slice("port_".length) : "";
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("open");
    set.dispose();
    expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow();
  });

  test("a request that took its set before a reload may still ask it", async () => {
    await using folder = await policyFolder({
      "a.ts": policy("evaluate: () => allow()"),
      "b.ts": policy('evaluate: async () => { await 1; return deny("late"); }'),
    });
    const set = await loaded(folder.path);
    const program = compiled(set, ref("a"), ref("b"));
    set.dispose();
    expect(await evaluate(program, question(), LIMIT_MS)).toMatchObject({
      verdict: { kind: "deny", code: "late" },
    });
  });

  test("200 reloads leave little behind", async () => {
    await using folder = await policyFolder({ "_state.ts": "export const n = 0;" });
    await folder.write({
      "one.ts": policy("evaluate: () => allow()", 'import { n } from "./_state.ts"; void n;'),
    });
    const reload = async () => {
      const set = await loaded(folder.path);
      evaluate(compiled(set, ref("one")), question(), LIMIT_MS);
      set.dispose();
    };
    for (let n = 0; n < 20; n++) await reload();
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    for (let n = 0; n < 200; n++) await reload();
    Bun.gc(true);
    expect((process.memoryUsage.rss() - before) / 1_048_576).toBeLessThan(64);
  });
});

/** `input.fetch`: what leaves the gate for a policy, and what comes back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fetchForPolicy } from "../../src/policy/fetch.ts";
import { makeCertificate } from "../support/certificate.ts";

let service: Bun.Server<undefined>;
/** Held until released; how many are inside. */
let inside = 0;
let mostInside = 0;
let release = Promise.withResolvers<void>();

beforeAll(() => {
  service = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/echo":
          return Response.json({
            method: request.method,
            body: await request.text(),
            headers: Object.fromEntries(request.headers),
          });
        case "/size":
          return new Response("x".repeat(Number(searchParams.get("bytes"))));
        case "/endless":
          return new Response(
            new ReadableStream({
              pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
            }),
          );
        case "/packed":
          return new Response(Bun.gzipSync("x".repeat(100)), {
            headers: { "Content-Encoding": "gzip" },
          });
        case "/moved":
          return Response.redirect("/echo", 302);
        case "/nothing":
          return new Response(null, { status: 204 });
        case "/held": {
          mostInside = Math.max(mostInside, ++inside);
          await release.promise;
          inside--;
          return new Response("ok");
        }
        default:
          return new Response("no", { status: 404 });
      }
    },
  });
});
afterAll(() => service.stop(true));

const never = new AbortController().signal;
const ask = (path: string, init: RequestInit = {}, signal = never, policy = "one") =>
  fetchForPolicy(policy, new URL(path, service.url).href, init, signal);

/** The message of what it rejects with. */
const refusal = (asking: Promise<unknown>) =>
  asking.then(
    () => "it did not reject",
    (error: Error) => error.message,
  );

describe("fetchForPolicy()", () => {
  test("sends what it is told to and brings the answer whole", async () => {
    const init = { method: "POST", body: "hello", headers: { "X-Key": "7" } };
    const answer = await ask("/echo?q=1", init);
    expect(answer).toMatchObject({ ok: true, status: 200, redirected: false });
    expect(answer.url).toBe(new URL("/echo?q=1", service.url).href);
    expect(await answer.json()).toMatchObject({
      method: "POST",
      body: "hello",
      headers: { "x-key": "7", "accept-encoding": "identity" },
    });
    expect(await ask("/nothing")).toMatchObject({ status: 204, body: null });
    expect(await ask("/missing")).toMatchObject({ ok: false, status: 404 });
    expect((await ask("/echo", { method: "HEAD" })).status).toBe(200);
  });

  test("follows redirects only if told to", async () => {
    expect((await ask("/moved")).status).toBe(302);
    const followed = await ask("/moved", { redirect: "follow" });
    expect(followed).toMatchObject({ status: 200, redirected: true });
    expect(await refusal(ask("/moved?token=secret", { redirect: "error" }))).not.toContain(
      "secret",
    );
  });

  test("takes 1 MB and not a byte more", async () => {
    expect(await (await ask("/size?bytes=1048576")).text()).toHaveLength(1_048_576);
    const where = new URL("/size", service.url).href;
    expect(await refusal(ask("/size?bytes=1048577"))).toBe(`${where} answered with more than 1 MB`);
    expect(await refusal(ask("/endless?key=secret"))).toContain("more than 1 MB");
  });

  test("refuses what came packed", async () => {
    expect(await refusal(ask("/packed"))).toContain("answered packed");
  });

  test("names neither query nor credentials when it fails", async () => {
    using gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const origin = gone.url.origin;
    gone.stop(true);
    const address = `${origin.replace("//", "//user:pass@")}/path?token=secret`;
    const message = await refusal(fetchForPolicy("one", address, {}, never));
    expect(message).toBe(`${origin}/path could not be asked (ECONNREFUSED)`);
  });

  test.each(["file:///etc/passwd", "data:text/plain,x", "blob:x", "/echo", "", "s3://bucket/key"])(
    "refuses %p",
    async (address) => {
      expect(await refusal(fetchForPolicy("one", address, {}, never))).toContain("fetch");
    },
  );

  test("checks certificates, whatever the policy says", async () => {
    const { cert, key } = makeCertificate();
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert, key },
      fetch: () => new Response("ok"),
    });
    const init = { tls: { rejectUnauthorized: false } } as RequestInit;
    const message = await refusal(fetchForPolicy("one", server.url.href, init, never));
    expect(message).toContain("could not be asked");
  });

  test("ends with its signal: before, while it waits and while it is under way", async () => {
    const gone = AbortSignal.abort(new Error("gone"));
    expect(await refusal(ask("/echo", {}, gone))).toBe("gone");
    release = Promise.withResolvers();
    inside = 0;
    for (const isUnderWay of [false, true]) {
      const aborter = new AbortController();
      const asking = refusal(ask("/held", {}, aborter.signal));
      while (isUnderWay && inside === 0) await Bun.sleep(1);
      aborter.abort(new Error("its time is up"));
      expect(await asking).toBe("its time is up");
    }
    release.resolve();
  });

  test("32 of one policy are under way at once, the others wait", async () => {
    release = Promise.withResolvers();
    inside = mostInside = 0;
    const asking = Array.from({ length: 40 }, () => ask("/held"));
    while (inside < 32) await Bun.sleep(1);
    // What comes now of another policy is inside before any more of the first could be.
    expect((await ask("/echo", {}, never, "two")).ok).toBe(true);
    expect(mostInside).toBe(32);
    release.resolve();
    expect(await Promise.all(asking)).toHaveLength(40);
  });

  test("64 of all are under way at once, the others wait", async () => {
    release = Promise.withResolvers();
    inside = mostInside = 0;
    const policies = ["a", "a", "b", "b", "c", "d"];
    const asking = policies.flatMap((policy) =>
      Array.from({ length: 20 }, () => ask("/held", {}, never, policy)),
    );
    const impatient = new AbortController();
    const waiting = refusal(ask("/held", {}, impatient.signal, "a"));
    while (inside < 64) await Bun.sleep(1);
    impatient.abort(new Error("gave up"));
    expect(await waiting).toBe("gave up");
    release.resolve();
    const answers = await Promise.all(asking);
    expect(answers.every(({ ok }) => ok)).toBe(true);
    expect(mostInside).toBe(64);
    expect((await ask("/echo", {}, never, "a")).ok).toBe(true);
  });
});

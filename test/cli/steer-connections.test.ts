import { describe, expect, test } from "bun:test";
import { steerToSuccessor } from "../../src/cli/steer-connections.ts";

const serve = (port: number, text: string) =>
  Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response(text) });

describe.skipIf(process.platform !== "linux")("steerToSuccessor()", () => {
  test("sends every new connection to the server that joined last", async () => {
    const first = serve(0, "first");
    const port = first.port ?? 0;
    const ask = async () => (await fetch(first.url, { keepalive: false })).text();
    expect(await ask()).toBe("first");
    expect(steerToSuccessor(port, 1)).toBe(true);
    expect(await ask()).toBe("first");

    const second = serve(port, "second");
    // Without the rule one half of them would go to the first.
    const texts = await Promise.all(Array.from({ length: 40 }, ask));
    expect(new Set(texts)).toEqual(new Set(["second"]));

    await first.stop();
    expect(await ask()).toBe("second");
    expect(steerToSuccessor(port, 1)).toBe(true);
    const third = serve(port, "third");
    expect(new Set(await Promise.all(Array.from({ length: 40 }, ask)))).toEqual(new Set(["third"]));
    await Promise.all([second.stop(true), third.stop(true)]);
  });

  test("tells when nobody of ours listens there", async () => {
    const gone = serve(0, "gone");
    const port = gone.port ?? 0;
    await gone.stop(true);
    expect(steerToSuccessor(port, 1)).toBe(false);
  });
});

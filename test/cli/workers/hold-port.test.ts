import { describe, expect, test } from "bun:test";
import { holdPort } from "../../../src/cli/workers/hold-port.ts";

const serve = (hostname: string, port: number, reusePort: boolean) =>
  Bun.serve({ hostname, port, reusePort, fetch: () => new Response("here") });

describe.skipIf(process.platform !== "linux")("holdPort()", () => {
  test.each(["127.0.0.1", "::1", "0.0.0.0", "::"])(
    "keeps a port of %s for those who share it, and takes no connection itself",
    async (hostname) => {
      const port = await holdPort(hostname, 0);
      expect(() => serve(hostname, port, false)).toThrow();
      await using shared = serve(hostname, port, true);
      const host = hostname.includes(":") ? "[::1]" : "127.0.0.1";
      const ask = async () =>
        (await fetch(`http://${host}:${shared.port}/`, { keepalive: false })).text();
      const answers = await Promise.all(Array.from({ length: 20 }, ask));
      expect(new Set(answers)).toEqual(new Set(["here"]));
    },
  );

  test("tells of another program that listens there, sharing or not", async () => {
    for (const sharing of [true, false]) {
      await using other = serve("127.0.0.1", 0, sharing);
      const held = holdPort("127.0.0.1", other.port ?? 0);
      expect(await held.catch((fault) => fault.code)).toBe("EADDRINUSE");
    }
  });
});

import { describe, expect, test } from "bun:test";
import { listenNear } from "../../../src/cli/demo/listen-near.ts";
import { GateError } from "../../../src/errors.ts";

const serve = (port: number) =>
  Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("here") });

describe("listenNear()", () => {
  test("takes any free port where another program has the usual one", async () => {
    await using other = serve(0);
    const usual = other.port ?? 0;
    await using server = await listenNear(usual, serve);
    expect(server.port).not.toBe(usual);
    expect(await (await fetch(server.url, { proxy: false })).text()).toBe("here");
  });

  test("knows a taken port by our own fault too, and asks for the usual one first", async () => {
    const asked: number[] = [];
    const open = (port: number) => {
      asked.push(port);
      if (port !== 0) throw new GateError("port_taken", "taken");
      return "open";
    };
    expect(await listenNear(7, open)).toBe("open");
    expect(asked).toEqual([7, 0]);
  });

  test.each([
    ["a fault of ours", new GateError("state_unusable", "no keys")],
    ["an error without a code", new Error("no reason")],
  ])("passes %s on, without a second try", async (_, fault) => {
    let tries = 0;
    const open = () => {
      tries += 1;
      throw fault;
    };
    expect(await listenNear(7, open).catch((thrown: unknown) => thrown)).toBe(fault);
    expect(tries).toBe(1);
  });
});

import { describe, expect, test } from "bun:test";
import { checkAnnouncedBody, meterBody } from "../../src/proxy/body.ts";

const announce = (method: string, headers: Record<string, string>) =>
  checkAnnouncedBody(new Request("http://x/", { method, headers }), 100);

describe("checkAnnouncedBody()", () => {
  test.each([
    ["GET", {}],
    ["GET", { "content-length": "0" }],
    ["HEAD", {}],
    ["POST", { "content-length": "100" }],
    ["POST", { "transfer-encoding": "chunked" }],
    ["DELETE", {}],
  ])("takes %s with %j", (method, headers) => {
    expect(announce(method, headers)).toEqual({ ok: true, value: undefined });
  });

  test.each([
    ["GET", { "content-length": "1" }, 400, "request_malformed"],
    ["HEAD", { "content-length": "1" }, 400, "request_malformed"],
    ["GET", { "transfer-encoding": "chunked" }, 400, "request_malformed"],
    ["POST", { "content-length": "1, 1" }, 400, "request_malformed"],
    ["POST", { "content-length": "-1" }, 400, "request_malformed"],
    ["POST", { "content-length": "0x10" }, 400, "request_malformed"],
    ["POST", { "content-length": "9".repeat(40) }, 400, "request_malformed"],
    ["POST", { "content-length": "101" }, 413, "too_large"],
  ])("refuses %s with %j: %d %s", (method, headers, status, code) => {
    expect(announce(method, headers)).toMatchObject({ ok: false, error: { status, code } });
  });
});

describe("meterBody()", () => {
  function metered(chunks: readonly string[], limit: number) {
    const events: string[] = [];
    let at = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const chunk = chunks[at];
          at += 1;
          if (chunk === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(chunk));
        },
        cancel: () => void events.push("cancelled"),
      },
      { highWaterMark: 0 },
    );
    const meter = meterBody(body, limit, {
      onExceeded: () => events.push("exceeded"),
      onWait: () => events.push("wait"),
      onProgress: () => events.push("progress"),
    });
    return { meter, events, taken: () => at };
  }

  test("passes everything up to the limit, and says who is waited for", async () => {
    const { meter, events } = metered(["ab", "cd"], 4);
    expect(await new Response(meter.open()).text()).toBe("abcd");
    expect(events).toEqual(["wait", "progress", "wait", "progress", "wait", "progress"]);
  });

  test.each([true, false])("whose end may be none asks: %p", async (isCut) => {
    const body = new Response("ab").body;
    if (body === null) throw new Error("no body");
    const ignore = () => {};
    const hooks = { onExceeded: ignore, onWait: ignore, onProgress: ignore };
    const meter = meterBody(body, 4, { ...hooks, wasCut: async () => isCut });
    const text = new Response(meter.open()).text();
    if (isCut) await expect(text).rejects.toThrow("broke off");
    else expect(await text).toBe("ab");
  });

  test("fails with the first byte over the limit and reads no further", async () => {
    const { meter, events, taken } = metered(["ab", "cd", "e", "f", "g"], 4);
    await expect(new Response(meter.open()).text()).rejects.toThrow();
    expect(events.slice(-2)).toEqual(["exceeded", "cancelled"]);
    expect(taken()).toBe(3);
  });

  test("reads nothing before it is asked, so that a second attempt has it all", async () => {
    const { meter, events } = metered(["ab"], 4);
    const unused = meter.open();
    await Bun.sleep(0);
    await unused.cancel();
    expect(meter.isStarted()).toBe(false);
    expect(events).toEqual([]);
    expect(await new Response(meter.open()).text()).toBe("ab");
    expect(meter.isStarted()).toBe(true);
  });

  test("hands a cancellation on once it has started", async () => {
    const { meter, events } = metered(["ab", "cd"], 4);
    const reader = meter.open().getReader();
    await reader.read();
    await reader.cancel();
    expect(events.at(-1)).toBe("cancelled");
  });
});

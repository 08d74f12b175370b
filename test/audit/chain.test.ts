import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { isWriterOf, openChain } from "../../src/audit/chain.ts";
import { denyEntry, forwardEntry, START_MS } from "./entries.ts";

const KEY = new Uint8Array(32).fill(7);

const hmac = (former: string, body: string) =>
  createHmac("sha256", KEY).update(`${former}\n${body}`).digest("base64url");

describe("openChain()", () => {
  test("numbers records from 1 and binds each to the one before", () => {
    const chain = openChain(KEY);
    const records = [1, 2, 3].map((number) => chain.link(forwardEntry(number)));
    let former = chain.writer;
    for (const [at, { writer, seq, body, mac, atMs }] of records.entries()) {
      expect({ writer, seq }).toEqual({ writer: chain.writer, seq: at + 1 });
      expect(mac).toBe(hmac(former, body));
      expect(JSON.parse(body)).toEqual(forwardEntry(at + 1));
      expect(atMs).toBe(START_MS + (at + 1) * 1_000);
      former = mac;
    }
  });

  test("names each writer anew, and after its key", () => {
    const [one, other] = [openChain(KEY), openChain(KEY)];
    expect(one.writer).not.toBe(other.writer);
    expect(isWriterOf(one.writer, KEY)).toBe(true);
    expect(isWriterOf(one.writer, new Uint8Array(32).fill(8))).toBe(false);
  });

  test("writes a body that is one line to everyone", () => {
    const path = "/a\u2028b\u0085c\nd\u007f\ud800";
    const { body } = openChain(KEY).link(denyEntry(1, { path }));
    expect(body).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    expect(JSON.parse(body).path).toBe(path);
  });
});

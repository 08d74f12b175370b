import { describe, expect, test } from "bun:test";
import { createKeyRing } from "../../src/login/seal.ts";

const CONTENT = { secret: "refresh-token", at: 1 };

describe("a key ring", () => {
  test("opens what it sealed, which shows nothing of it and is never twice the same", async () => {
    const ring = createKeyRing(["one"]);
    const [a, b] = [await ring.seal("session", CONTENT), await ring.seal("session", CONTENT)];
    expect(await ring.open("session", a)).toEqual(CONTENT);
    expect(a).not.toBe(b);
    expect(Buffer.from(a, "base64url").toString("latin1")).not.toContain("refresh-token");
  });

  test("opens nothing for another purpose", async () => {
    const ring = createKeyRing(["one"]);
    const sealed = await ring.seal("attempt", CONTENT);
    expect(await ring.open("session", sealed)).toBeUndefined();
    expect(await ring.open("hand-over", sealed)).toBeUndefined();
  });

  test("writes with the first secret and reads with all", async () => {
    const [old, both, fresh] = [["b"], ["a", "b"], ["a"]].map(createKeyRing);
    const before = await old?.seal("session", CONTENT);
    expect(await both?.open("session", before ?? "")).toEqual(CONTENT);
    expect(await fresh?.open("session", before ?? "")).toBeUndefined();
    const after = await both?.seal("session", CONTENT);
    expect(await fresh?.open("session", after ?? "")).toEqual(CONTENT);
    expect(await old?.open("session", after ?? "")).toBeUndefined();
  });

  test("opens nothing that was changed, cut, or is something else", async () => {
    const ring = createKeyRing(["one"]);
    const sealed = await ring.seal("session", CONTENT);
    const parts = sealed.split(".");
    const other = (part: string) =>
      part.startsWith("A") ? `B${part.slice(1)}` : `A${part.slice(1)}`;
    const changed = parts.map((part, at) => (at === 3 ? other(part) : part)).join(".");
    const plain = `${Buffer.from('{"alg":"none"}').toString("base64url")}.e30.`;
    for (const text of [changed, sealed.slice(0, -2), plain, "", "....", "x".repeat(70_000)]) {
      expect(await ring.open("session", text)).toBeUndefined();
    }
  });

  test("has short public ids that tell nothing without the secret", () => {
    const [one, other] = [createKeyRing(["one"]), createKeyRing(["other"])];
    expect(one.publicId("id")).toMatch(/^[\w-]{22}$/);
    expect(one.publicId("id")).toBe(one.publicId("id"));
    expect(other.publicId("id")).not.toBe(one.publicId("id"));
  });
});

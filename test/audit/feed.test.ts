import { describe, expect, test } from "bun:test";
import type { ActEntry } from "../../src/audit/entry.ts";
import { createFeed } from "../../src/audit/feed.ts";

const act = (target: string): ActEntry => ({
  kind: "act",
  at: "2026-01-05T10:00:00.000Z",
  actor: "admin",
  act: "revoke",
  target,
});
const all = () => true;

describe("createFeed()", () => {
  test("hands each follower what it wants, in order", async () => {
    const feed = createFeed();
    const everything = feed.subscribe(all);
    const some = feed.subscribe((entry) => entry.kind === "act" && entry.target === "b");
    for (const target of ["a", "b", "c"]) feed.publish(act(target));
    expect(await everything?.next()).toEqual([act("a"), act("b"), act("c")]);
    expect(await some?.next()).toEqual([act("b")]);
  });

  test("wakes who waits", async () => {
    const feed = createFeed();
    const follower = feed.subscribe(all);
    const coming = follower?.next();
    feed.publish(act("a"));
    expect(await coming).toEqual([act("a")]);
  });

  test("lets go who does not keep up, after what it had waiting", async () => {
    const feed = createFeed({ most: 2 });
    const slow = feed.subscribe(all);
    const other = feed.subscribe(() => false);
    for (const target of ["a", "b", "c", "d"]) feed.publish(act(target));
    expect(feed.followers).toBe(1);
    expect(await slow?.next()).toEqual([act("a"), act("b")]);
    expect(await slow?.next()).toBe("slow");
    expect(await slow?.next()).toBe("slow");
    other?.close();
    expect(await other?.next()).toBe("closed");
    expect(feed.followers).toBe(0);
  });

  test("ends all at the end", async () => {
    const feed = createFeed();
    const waiting = feed.subscribe(all)?.next();
    feed.close();
    expect(await waiting).toBe("closed");
    expect(feed.followers).toBe(0);
  });

  test("has a bounded number of followers, and room again when one leaves", () => {
    const feed = createFeed();
    const followers = Array.from({ length: 32 }, () => feed.subscribe(all));
    expect(followers.every((one) => one !== undefined)).toBe(true);
    expect(feed.subscribe(all)).toBeUndefined();
    followers[3]?.close();
    expect(feed.subscribe(all)).toBeDefined();
  });
});

/** What the cases of `unusual-activity` cannot show: its helpers, what is noted, its options in the docs. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Options } from "../../policies/_unusual-options.ts";
import { apart, distanceKm, familyOf, networkOf } from "../../policies/_unusual-places.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Client, History } from "../../src/types.ts";
import { compiled, loaded, question, ref } from "../policy/policy-folder.ts";

const VIENNA = { latitude: 48.21, longitude: 16.37 };
const SYDNEY = { latitude: -33.87, longitude: 151.21 };

describe("distanceKm()", () => {
  test.each([
    ["to itself", VIENNA, VIENNA, 0],
    ["to the other end of the world", VIENNA, SYDNEY, 15_985],
    ["to the antipode", { latitude: 0, longitude: 0 }, { latitude: 0, longitude: 180 }, 20_015],
    ["from pole to pole", { latitude: 90, longitude: 0 }, { latitude: -90, longitude: 0 }, 20_015],
    [
      "over the date line",
      { latitude: 0, longitude: 179.5 },
      { latitude: 0, longitude: -179.5 },
      111,
    ],
  ])("%s", (_, from, to, km) => {
    expect(Math.abs(distanceKm(from, to) - km)).toBeLessThan(15);
    expect(distanceKm(from, to)).toBeCloseTo(distanceKm(to, from), 6);
  });
});

describe("apart()", () => {
  test("kilometres where both places are known, else whether the countries differ", () => {
    expect(apart({ location: VIENNA }, { location: VIENNA })).toBe(0);
    expect(apart({ country: "AT", location: VIENNA }, { country: "AU" })).toBe("abroad");
    expect(apart({ country: "AT" }, { country: "AT" })).toBeUndefined();
    expect(apart({ country: "AT" }, {})).toBeUndefined();
    expect(apart({}, { location: VIENNA })).toBeUndefined();
  });
});

describe("networkOf()", () => {
  test.each([
    ["192.0.2.1", "192.0.2.254", true],
    ["192.0.2.1", "192.0.3.1", false],
    ["2001:db8::1", "2001:db8::ffff:1", true],
    ["2001:db8:0:1::1", "2001:db8:0:2::1", false],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", true],
    ["64:ff9b::c000:201", "64:ff9b::c000:2fe", true],
    ["64:ff9b::c000:201", "64:ff9b::c000:301", false],
    ["64:ff9b::c000:201", "192.0.2.1", false],
    ["64:ff9b::5:1:2:3", "64:ff9b::6:1:2:3", true],
    ["64:ff9b::201", "64:ff9b::2fe", true],
    ["unix", "unix", true],
    ["unix", "192.0.2.1", false],
  ])("%s and %s: one network is %p", (one, other, isOne) => {
    expect(networkOf(one) === networkOf(other)).toBe(isOne);
  });

  test("an address behind a translator is one of IPv4", () => {
    expect(["192.0.2.1", "2001:db8::1", "64:ff9b::c000:201", "unix"].map(familyOf)).toEqual([
      "IPv4",
      "IPv6",
      "IPv4",
      "IPv4",
    ]);
  });
});

const set = await loaded("/nowhere/policies");

/** What the policy answers to `question()` (192.0.2.1, firefox on linux) with such a past. */
async function answer(past: Partial<History>, options?: unknown, client?: Client) {
  const one = question();
  const asked = { ...one, inquiry: { ...one.inquiry, client: client ?? one.inquiry.client } };
  const { nowMs } = asked.inquiry;
  const history: History = {
    firstMs: nowMs - 3_600_000,
    lastMs: nowMs - 60_000,
    requests: 10,
    denials: 0,
    deniedInRow: 0,
    lastMinute: 1,
    busiestMinute: 1,
    addresses: [],
    devices: [],
    ...past,
  };
  const program = compiled(set, ref("unusual-activity", options));
  const { verdict, outcomes } = await evaluate(
    program,
    { ...asked, history: async () => history },
    1_000,
  );
  return { verdict, unusual: outcomes[0]?.unusual, detail: outcomes[0]?.detail };
}

describe("unusual-activity", () => {
  test("notes what does not suffice, and lets pass", async () => {
    expect(await answer({ deniedInRow: 20 })).toMatchObject({
      verdict: { kind: "allow" },
      unusual: ["many_denials"],
    });
    expect((await answer({})).unusual).toBeUndefined();
  });

  test("takes the hardest action of all that is seen, and names what was seen", async () => {
    const { verdict, unusual, detail } = await answer({ deniedInRow: 20, signedOutMs: 0 });
    expect(verdict).toMatchObject({ kind: "deny", code: "signed_out", revoke: "session" });
    expect(unusual).toEqual(["signed_out", "many_denials"]);
    expect(detail).toBe("signed_out, many_denials: 130 of 100");
  });

  test("does no more than atMost, and still notes all", async () => {
    const seen = { deniedInRow: 20, signedOutMs: 0 };
    const denied = await answer(seen, { atMost: "deny" });
    expect(denied.verdict).toMatchObject({ kind: "deny", code: "signed_out" });
    expect(denied.verdict).not.toHaveProperty("revoke");
    expect(
      (await answer(seen, { atMost: "challenge", signInWithin: "90s" })).verdict,
    ).toMatchObject({
      kind: "challenge",
      challenge: { maxAge: 90 },
    });
    const observed = await answer(seen, { atMost: "observe" });
    expect(observed.verdict.kind).toBe("allow");
    expect(observed.unusual).toEqual(["signed_out", "many_denials"]);
    const off = await answer(seen, { atMost: "off" });
    expect([off.verdict.kind, off.unusual]).toEqual(["allow", undefined]);
  });

  test("neither notes nor counts what is off", async () => {
    const off = { denials: { action: "off" }, threshold: 1 };
    expect(await answer({ deniedInRow: 20 }, off)).toMatchObject({ verdict: { kind: "allow" } });
    expect((await answer({ deniedInRow: 20 }, off)).unusual).toBeUndefined();
  });

  test("travel counts for less on phones", async () => {
    const asked = question();
    const past = { country: "AU", location: SYDNEY };
    const weightOn = async (mobile: boolean) => {
      const client = {
        ...asked.inquiry.client,
        country: "AT",
        location: VIENNA,
        device: { ...asked.inquiry.client.device, mobile },
      };
      const trace = { firstMs: 0, lastMs: asked.inquiry.nowMs - 60_000, requests: 1 };
      const { detail } = await answer(
        { addresses: [{ name: "203.0.113.9", ...trace, ...past }] },
        { threshold: 1, travel: { action: "deny" } },
        client,
      );
      return detail;
    };
    expect(await weightOn(false)).toBe("impossible_travel: 60 of 1");
    expect(await weightOn(true)).toBe("impossible_travel: 48 of 1");
  });

  test("a past of as many addresses and devices as are kept is looked at", async () => {
    const trace = (name: string) => ({ name, firstMs: 0, lastMs: 1, requests: 1 });
    const addresses = Array.from({ length: 32 }, (_, at) => trace(`198.51.${at}.1`));
    const devices = Array.from({ length: 16 }, (_, at) => trace(`browser${at} on linux`));
    const { unusual } = await answer({ firstMs: 0, addresses, devices });
    expect(unusual).toEqual(["new_device_elsewhere"]);
  });
});

describe("docs/unusual-activity.md", () => {
  test("lists every option with its default and description", async () => {
    const page = await Bun.file(join(import.meta.dir, "../../docs/unusual-activity.md")).text();
    const rows = [...page.matchAll(/^\| `([\w.]+)` *\|([^|]*)\| ([^|]*?) *\|$/gm)]
      .filter(([row]) => row.includes("`"))
      .map(([, name = "", preset = "", about = ""]) => [name, preset.trim(), about]);
    const told = new Map(rows.map(([name = "", ...rest]) => [name, rest]));
    const wanted: [string, string[]][] = [];
    const visit = (prefix: string, properties: Readonly<Record<string, Option>>) => {
      for (const [name, { properties: inner, default: preset, description }] of Object.entries(
        properties,
      )) {
        const written = inner === undefined ? `\`${preset}\`` : "";
        wanted.push([`${prefix}${name}`, [written, description ?? ""]]);
        if (inner !== undefined) visit(`${prefix}${name}.`, inner);
      }
    };
    visit("", Options.properties as Readonly<Record<string, Option>>);
    expect(wanted.length).toBeGreaterThan(30);
    expect(wanted.map(([name]) => [name, told.get(name)])).toEqual(wanted);
  });

  type Option = {
    readonly default?: unknown;
    readonly description?: string;
    readonly properties?: Readonly<Record<string, Option>>;
  };
});

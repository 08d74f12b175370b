import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalAddress, networkOf } from "../../src/lib/cidr.ts";
import { networkOfClient } from "../../src/limits/network.ts";

describe("networkOfClient()", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["unix", "unix"],
    ["unknown", "unknown"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:8::", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
    // An IPv4 address behind a translator: 192.0.2.1, and what only looks like one.
    ["64:ff9b::c000:201", "64:ff9b::c000:201"],
    ["64:ff9b::1:c000:201", "64:ff9b:0:0::/64"],
    ["64:ff9b:1::c000:201", "64:ff9b:1:0::/64"],
  ])("%s counts as %s", (ip, network) => {
    expect(networkOfClient(ip)).toBe(network);
  });

  test("two addresses are one exactly if their first 64 bits are alike", () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const address = fc
      .array(group, { minLength: 8, maxLength: 8 })
      .map((groups) => canonicalAddress(groups.map((one) => one.toString(16)).join(":")) ?? "")
      .filter((ip) => ip.includes(":"));
    const few = fc.array(address, { minLength: 2, maxLength: 6 });
    const property = fc.property(few, (ips) => {
      for (const one of ips) {
        for (const other of ips) {
          const alike = networkOf(`${one}/64`) === networkOf(`${other}/64`);
          expect(networkOfClient(one) === networkOfClient(other)).toBe(alike);
        }
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

import { expect, test } from "bun:test";
import { junitXml } from "../../../src/cli/test/junit.ts";
import type { TestResult } from "../../../src/cli/test/result.ts";

const result: TestResult = {
  kind: "case",
  policy: "staff",
  name: "staff pass",
  asked: [],
  ok: true,
  expected: new Map([["", "allow"]]),
  actual: new Map([["", "allow"]]),
  file: "policies/staff.ts",
  line: 3,
  ms: 1_500,
};

test("a suite for each policy and route, with counts and seconds", () => {
  const { policy: _, ...scenario } = { ...result, kind: "scenario" as const, route: "home" };
  expect(
    junitXml([result, scenario, { ...result, ms: 500 }]),
  ).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="claimgate" tests="3" failures="0" errors="0" time="3.500000">
  <testsuite name="policy staff" tests="2" failures="0" errors="0" time="2.000000">
    <testcase name="staff pass" classname="policy staff" file="policies/staff.ts" line="3" time="1.500000"/>
    <testcase name="staff pass" classname="policy staff" file="policies/staff.ts" line="3" time="0.500000"/>
  </testsuite>
  <testsuite name="route home" tests="1" failures="0" errors="0" time="1.500000">
    <testcase name="staff pass" classname="route home" file="policies/staff.ts" line="3" time="1.500000"/>
  </testsuite>
</testsuites>
`);
});

test("what XML cannot hold is a question mark, and markup is none", () => {
  const xml = junitXml([{ ...result, name: `a\u0000\u001b\ud800\uffff<b>&"'\u{1f600}` }]);
  expect(xml).toContain(`name="a??\ufffd?&lt;b&gt;&amp;&quot;&apos;\u{1f600}"`);
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { findFlaw, own, parseStrictObject } from "../../src/identity/strict-json.ts";

const parse = (text: string) => parseStrictObject(Buffer.from(text));

describe("parseStrictObject()", () => {
  test("reads an object", () => {
    expect(parse(' {"a":[1,{"b":"\\""}],"b":null} ')).toEqual({
      ok: true,
      value: { a: [1, { b: '"' }], b: null },
    });
  });

  test.each([
    ["at the top", '{"sub":"a","sub":"b"}'],
    ["of one value", '{"sub":"a","sub":"a"}'],
    ["spelled with an escape", '{"sub":"a","s\\u0075b":"b"}'],
    ["spelled with two escapes", '{"\\u0073ub":"a","s\\u0075b":"b"}'],
    ["deeper", '{"a":{"b":[{"c":1,"d":2,"c":3}]}}'],
    ["after a nested object", '{"a":{"x":1},"b":1,"a":2}'],
    ["with a quote in its name", '{"a\\"":1,"a\\"":2}'],
    ["with white space about", '{"a" : 1 ,\n"a"\t: 2}'],
    ["that is empty", '{"":1,"":2}'],
    ["called __proto__", '{"__proto__":1,"__proto__":2}'],
    ["spelled with an escaped solidus", '{"a/b":1,"a\\/b":2}'],
    ["after a text that ends in a backslash", '{"a":"\\\\","a":2}'],
  ])("refuses a member twice: %s", (_, text) => {
    expect(parse(text)).toEqual({ ok: false, error: "member_duplicate" });
  });

  test.each([
    ["the same name in two objects", '{"a":{"x":1},"b":{"x":2},"c":[{"x":3},{"x":4}]}'],
    ["a value that is a name elsewhere", '{"a":"b","b":"a"}'],
    ["values that look like members", '{"a":"\\"b\\":1,\\"b\\":2"}'],
    ["names that differ in case", '{"a":1,"A":2}'],
    ["a list of equal texts", '{"a":["x","x"]}'],
  ])("takes %s", (_, text) => {
    expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });

  test.each([
    "",
    "null",
    "[]",
    '"a"',
    "1",
    "{",
    '{"a"}',
    "{'a':1}",
    '{"a":1}x',
    '{"a":01}',
    "{a:1}",
  ])("refuses what is no object: %j", (text) => {
    expect(parse(text)).toEqual({ ok: false, error: "json_refused" });
  });

  test("refuses a BOM and what is not UTF-8", () => {
    const error = { ok: false as const, error: "utf8_refused" as const };
    expect(parse('\ufeff{"a":1}')).toEqual(error);
    expect(parseStrictObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toEqual(
      error,
    );
    // A surrogate in UTF-8 (CESU-8), and an overlong solidus.
    expect(parseStrictObject(Buffer.from('{"a":"\xed\xa0\x80"}', "latin1"))).toEqual(error);
    expect(parseStrictObject(Buffer.from('{"a":"\xc0\xaf"}', "latin1"))).toEqual(error);
  });

  test("refuses depth before it parses", () => {
    const nested = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    expect(parse(nested(31)).ok).toBe(true);
    expect(parse(nested(32))).toEqual({ ok: false, error: "nesting_refused" });
    expect(parse(`{"a":${"[".repeat(16_000)}`)).toEqual({ ok: false, error: "nesting_refused" });
  });

  test("keeps __proto__ as data", () => {
    const result = parse('{"__proto__":{"admin":true},"constructor":1}');
    if (!result.ok) throw new Error(result.error);
    expect(Object.getPrototypeOf(result.value)).toBe(Object.prototype);
    expect(own(result.value, "__proto__")).toEqual({ admin: true });
    expect(own(result.value, "admin")).toBeUndefined();
    expect(own(result.value, "toString")).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

/** Another way to the same answer: a parser that returns what it read of each object. */
function hasDuplicates(text: string): boolean {
  let at = 0;
  let found = false;
  const skip = () => {
    while (/\s/.test(text[at] ?? "")) at++;
  };
  const readString = (): string => {
    const [literal = ""] = /^"(?:[^"\\]|\\.)*"/s.exec(text.slice(at)) ?? [];
    at += literal.length;
    return JSON.parse(literal);
  };
  const readItems = (close: string, readItem: () => void) => {
    at++;
    for (skip(); text[at] !== close; skip()) {
      readItem();
      skip();
      if (text[at] === ",") at++;
    }
    at++;
  };
  const readValue = () => {
    skip();
    if (text[at] === '"') readString();
    else if (text[at] === "[") readItems("]", readValue);
    else if (text[at] === "{") {
      const names: string[] = [];
      readItems("}", () => {
        skip();
        names.push(readString());
        skip();
        at++;
        readValue();
      });
      if (names.some((name, index) => names.indexOf(name) !== index)) found = true;
    } else at += (/^[^\s,\]}]+/.exec(text.slice(at)) ?? [""])[0].length;
  };
  readValue();
  return found;
}

/** JSON as text, with duplicates, escapes and white space as they come. */
const name = fc.constantFrom('"a"', '"b"', '"\\u0061"', '"a\\""', '"\\\\"', '""', '"__proto__"');
const gap = fc.constantFrom("", " ", "\n");
const { value: jsonText } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      name,
      fc.constantFrom("1", "-1e3", "true", "null"),
      fc.string().map((s) => JSON.stringify(s)),
    ),
    fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(",")}]`),
    fc
      .array(fc.tuple(gap, name, gap, tie("value"), gap), { maxLength: 3 })
      .map((members) => `{${members.map(([a, n, b, v, c]) => `${a}${n}${b}:${v}${c}`).join(",")}}`),
  ),
}));

describe("findFlaw()", () => {
  test("finds duplicates exactly where another reader does", () => {
    let duplicates = 0;
    fc.assert(
      fc.property(jsonText, (text) => {
        JSON.parse(text);
        const expected = hasDuplicates(text);
        if (expected) duplicates++;
        expect(findFlaw(text)).toBe(expected ? "member_duplicate" : undefined);
      }),
      { numRuns: 2_000 },
    );
    expect(duplicates).toBeGreaterThan(20);
  });

  test("takes any text without a throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect([undefined, "member_duplicate", "nesting_refused"]).toContain(findFlaw(text));
      }),
    );
  });
});

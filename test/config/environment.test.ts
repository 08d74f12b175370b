// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { substitute } from "../../src/config/environment.ts";
import { loadValid, placesOf } from "./load-text.ts";

const ENVIRONMENT = { A: "one", EMPTY: "", NESTED: "${A} $$", _x1: "under" };

describe("substitute()", () => {
  test.each([
    ["${A}", "one"],
    ["x${A}y${A}", "xoneyone"],
    ["${_x1}", "under"],
    ["${EMPTY}", ""],
    ["${EMPTY:-two}", "two"],
    ["${ABSENT:-two}", "two"],
    ["${ABSENT:-}", ""],
    ["${ABSENT:-a b:/$c}", "a b:/$c"],
    ["${A:-two}", "one"],
    ["$$", "$"],
    ["$${A}", "${A}"],
    ["$$$${A}", "$${A}"],
    ["$$${A}", "$one"],
    ["$A ^a$", "$A ^a$"],
    ["${NESTED}", "${A} $$"],
  ])("%s is %s", (text, expected) => {
    expect(substitute(text, ENVIRONMENT)).toMatchObject({ ok: true, value: { text: expected } });
  });

  test.each([
    ["${ABSENT}", { reason: "unset", name: "ABSENT" }],
    ["${A} ${ABSENT}", { reason: "unset", name: "ABSENT" }],
    ["${constructor}", { reason: "unset", name: "constructor" }],
    ["${", { reason: "malformed" }],
    ["${}", { reason: "malformed" }],
    ["${1}", { reason: "malformed" }],
    ["${A-b}", { reason: "malformed" }],
    ["${A", { reason: "malformed" }],
    ["${A:-${B}}", { reason: "malformed" }],
  ])("refuses %s", (text, error) => {
    expect<unknown>(substitute(text, ENVIRONMENT)).toEqual({ ok: false, error });
  });

  test("puts in whatever a variable holds, and doubling dollars undoes it", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (value, text) => {
        const escaped = text.replaceAll("$", "$$$$");
        const result = substitute(`${escaped}\${V}`, { V: value });
        expect(result).toMatchObject({ ok: true, value: { text: text + value, names: ["V"] } });
      }),
    );
  });
});

describe("the environment in a configuration", () => {
  const WITH = (line: string) => `${line}\nroutes: [{ upstream: "\${UP}", public: true }]\n`;

  test("fills scalars in, switches and numbers among them", async () => {
    const text = WITH("listen: [127.0.0.1:0]\nallowPlainHttp: ${PLAIN}\nworkers: ${WORKERS}");
    const environment = { UP: "http://127.0.0.1:9000", PLAIN: "true", WORKERS: "1" };
    const config = await loadValid(text, { environment });
    expect(config.allowPlainHttp).toBe(true);
    expect(config.routes).toMatchObject([{ upstreams: [{ origin: "http://127.0.0.1:9000" }] }]);
  });

  test("takes part of an address, and a port alone", async () => {
    const environment = { UP: "echo", PORT: "4711" };
    const one = await loadValid(WITH("listen: 127.0.0.1:${PORT}"), { environment });
    expect(one.listen).toEqual([{ kind: "tcp", hostname: "127.0.0.1", port: 4711 }]);
    const text = WITH("allowPlainHttp: true\nlisten: ${PORT}");
    const other = await loadValid(text, { environment });
    expect(other.listen).toEqual([{ kind: "tcp", hostname: "0.0.0.0", port: 4711 }]);
  });

  test("leaves a number in quotes a text, and never makes a map of a value", async () => {
    const environment = { UP: "[echo]", AUD: "123" };
    const text = `routes: [{ upstream: echo, anyAuthenticated: true }]
issuers: [{ name: a, issuer: "https://a.dev", audiences: ["\${AUD}"] }]
`;
    const config = await loadValid(text, { environment });
    expect(config.issuers).toMatchObject([{ audiences: ["123"] }]);
    expect(await placesOf(WITH("listen: 127.0.0.1:0"), { environment })).toEqual([
      "2:22 url_invalid",
    ]);
  });

  test("tells what is unset or malformed, once each, where it stands", async () => {
    const text = WITH("listen: 127.0.0.1:${PORT}\ngeo: ${");
    expect(await placesOf(text)).toEqual([
      "1:9 environment_unset",
      "2:6 reference_malformed",
      "3:22 environment_unset",
    ]);
  });
});

/**
 * The pages for users say what is true: their samples load, their policies hold, their links
 * lead somewhere.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { readScenarios } from "../src/cli/test/read-scenarios.ts";
import { ScenarioSchema } from "../src/cli/test/scenario.ts";
import { jsonSchema } from "../src/config/json-schema.ts";
import { loadConfig } from "../src/config/load.ts";
import { runCases } from "../src/policy/cases.ts";
import { loadPolicies, type PolicySet } from "../src/policy/load.ts";
import { typecheckPolicies } from "../src/policy/typecheck.ts";
import { markedBy } from "./config/draft-7.ts";
import { makeCertificate } from "./support/certificate.ts";
import { type TempFolder, tempFolder } from "./support/temp-folder.ts";

const ROOT = join(import.meta.dir, "..");
const PAGES = [
  ...new Bun.Glob("*.md").scanSync(ROOT),
  ...new Bun.Glob("{docs,policies,test}/**/*.md").scanSync(ROOT),
].sort();

const read = (page: string) => readFileSync(join(ROOT, page), "utf8");

/** `README.md:79` and the text, of each fenced block in that language. */
const samplesIn = (language: string) =>
  PAGES.flatMap((page) => {
    const text = read(page);
    const fences = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"));
    return [...fences].map(({ index, 1: sample = "" }): [string, string] => [
      `${page}:${text.slice(0, index).split("\n").length}`,
      sample,
    ]);
  });

const isOfScenarios = ([, sample]: readonly [string, string]) => sample.startsWith("scenarios:");
const yamlSamples = samplesIn("yaml").filter((one) => !isOfScenarios(one));
const scenarioSamples = samplesIn("yaml").filter(isOfScenarios);
const policySamples = samplesIn("ts");

describe("configuration samples load", () => {
  /** What stands only below a route, so that a sample with nothing else is a part of one. */
  const OF_THE_FILE = new Set(
    "listen tls http allowPlainHttp trustedProxies policyTimeout reload log audit issuers routes store workers session admin publicUrl".split(
      " ",
    ),
  );
  const ISSUER = { name: "okta", issuer: "https://acme.okta.com", audiences: ["api://internal"] };
  const ROUTE = { name: "orders", match: { path: "/orders/*" }, upstream: "echo" };
  const GUARDS = ["policies", "anyAuthenticated", "public"];

  /** The sample with what a whole file needs besides; what the sample says is left as it is. */
  function whole(sample: Record<string, unknown>): object {
    const keys = Object.keys(sample);
    if (keys.some((key) => OF_THE_FILE.has(key))) {
      const route = { ...ROUTE, public: true };
      return { issuers: [ISSUER], routes: [route], ...sample };
    }
    const guard = keys.some((key) => GUARDS.includes(key)) ? {} : { anyAuthenticated: true };
    return { issuers: [ISSUER], routes: [{ ...ROUTE, ...guard, ...sample }] };
  }

  let folder: TempFolder;
  beforeAll(async () => {
    const { cert, key } = makeCertificate();
    folder = await tempFolder({
      "tls/cert.pem": cert,
      "tls/key.pem": key,
      "tls/ca.pem": cert,
      "enc.jwk": key,
      "country.mmdb": "",
      "secret.txt": "s3cret",
    });
  });
  afterAll(async () => folder[Symbol.asyncDispose]());

  test("there are samples", () => expect(yamlSamples.length).toBeGreaterThanOrEqual(9));

  test.each(yamlSamples)("%s", async (_, sample) => {
    const text = stringify(whole(parse(sample)));
    // Nor does an editor mark anything in it.
    expect(markedBy(jsonSchema(), parse(text))).toEqual([]);
    const file = await folder.write("claimgate.yaml", text);
    const config = await loadConfig(file, {});
    expect(config.ok ? [] : config.error.map(({ message }) => message)).toEqual([]);
  });

  test("the example of a real web server", async () => {
    const file = join(ROOT, "docs/examples/real-web-server/claimgate.yaml");
    expect(await loadConfig(file, {})).toMatchObject({ ok: true });
  });
});

describe("samples of scenarios are read", () => {
  const names = { issuers: ["okta"], policies: ["staff"] };

  test("there are samples", () => expect(scenarioSamples.length).toBeGreaterThanOrEqual(1));

  test.each(scenarioSamples)("%s", (_, sample) => {
    const read = readScenarios("sample.scenarios.yaml", sample, {}, names, 0);
    expect(read.ok ? [] : read.error.map(({ message }) => message)).toEqual([]);
  });

  test("docs/testing.md names every key of theirs", () => {
    const page = read("docs/testing.md");
    const keys = Object.keys(ScenarioSchema.properties);
    expect(
      keys.filter((key) => !page.includes(`\`${key}\``) && !page.includes(`\`${key}.`)),
    ).toEqual([]);
  });
});

describe("policy samples hold", () => {
  test("there are samples", () => expect(policySamples.length).toBeGreaterThanOrEqual(2));

  test.each(policySamples)("%s", async (_, sample) => {
    await using folder = await tempFolder({ "policies/sample.ts": sample });
    const policies = join(folder.path, "policies");
    expect(await typecheckPolicies(policies, join(folder.path, ".claimgate"))).toEqual([]);
    const set = await loadPolicies(policies);
    if (!set.ok) throw new Error(set.error.map(({ message }) => message).join("\n"));
    const results = await runCases(set.value, { timeoutMs: 1_000, names: new Set(["sample"]) });
    set.value.dispose();
    expect(results.length).toBeGreaterThan(0);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  });
});

test("the example policies load, type-check and hold their cases", async () => {
  const folder = join(ROOT, "docs/examples/policies");
  await using state = await tempFolder({});
  expect(await typecheckPolicies(folder, state.path)).toEqual([]);
  const set = await loadPolicies(folder);
  if (!set.ok) throw new Error(set.error.map(({ message }) => message).join("\n"));
  const names = new Set(["employed", "team-file"]);
  const results = await runCases(set.value, { timeoutMs: 1_000, names });
  set.value.dispose();
  expect(new Set(results.map(({ policy }) => policy))).toEqual(names);
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
});

describe("docs/policies.md names the policies in the binary", () => {
  /** Name and options of each row of its last table. */
  const rows = [...read("docs/policies.md").matchAll(/^\| `([\w-]+)` +\| ([^|]*`[^|]*)\|/gm)]
    .map(([, name = "", options = ""]) => ({
      name,
      options: [...options.matchAll(/`(\w+)`/g)].map(([, option = ""]) => option).sort(),
    }))
    .filter(({ name }) => existsSync(join(ROOT, "policies", `${name}.ts`)));

  let set: PolicySet;
  beforeAll(async () => {
    const loaded = await loadPolicies("/no/such/folder");
    if (!loaded.ok) throw new Error("the shipped policies do not load");
    set = loaded.value;
  });
  afterAll(() => set.dispose());

  test("all of them", () => {
    expect(rows.map(({ name }) => name).sort()).toEqual([...set.policies.keys()].sort());
  });

  test.each(rows)("the options of $name", ({ name, options }) => {
    expect(options).toEqual(optionsOf(set.policies.get(name)?.options ?? {}));
  });

  /** Of an object schema, or of all alternatives. */
  function optionsOf(schema: Record<string, unknown>): string[] {
    const {
      properties = {},
      anyOf = [],
      allOf = [],
    } = schema as {
      readonly properties?: Record<string, unknown>;
      readonly anyOf?: readonly Record<string, unknown>[];
      readonly allOf?: readonly Record<string, unknown>[];
    };
    const below = [...anyOf, ...allOf].flatMap(optionsOf);
    return [...new Set([...Object.keys(properties), ...below])].sort();
  }
});

test("docs/configuration.md names every key of the file", () => {
  const page = read("docs/configuration.md");
  const keys = new Set<string>();
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    for (const [name, value] of Object.entries(node)) {
      if (name === "properties") for (const key of Object.keys(value)) keys.add(key);
      visit(value);
    }
  };
  visit(jsonSchema());
  expect(keys.size).toBeGreaterThan(40);
  expect(
    [...keys].filter((key) => !new RegExp(`(?<![\\w$])${RegExp.escape(key)}\\b`).test(page)),
  ).toEqual([]);
});

test("relative links lead to files", () => {
  const broken = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  );
  expect(broken).toEqual([]);
});

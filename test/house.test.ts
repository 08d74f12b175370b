/**
 * The rules of the house that no linter knows: who may import whom, what the rooms hold, how
 * files are named. `docs/` explains them; here they are held.
 */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import manifest from "../package.json";

const ROOT = join(import.meta.dir, "..");

/** From the top down. A file may import from its own room and from the floors below it. */
const FLOORS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["admin"],
  ["idp"],
  ["gate"],
  ["login"],
  ["policy"],
  ["identity"],
  ["proxy"],
  ["ledger", "limits", "audit"],
  ["store"],
  ["telemetry"],
  ["config"],
  ["types.ts", "result.ts", "errors.ts"],
  ["lib"],
];

/** Files outside src that a room may embed: path pattern, and the rooms. */
const EMBEDDED: readonly { readonly pattern: RegExp; readonly rooms: readonly string[] }[] = [
  { pattern: /^policies\//, rooms: ["policy"] },
  { pattern: /^package\.json$/, rooms: ["cli"] },
];

const TOP_LEVEL: ReadonlySet<string> = new Set([
  ".ci",
  ".git",
  ".gitignore",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "biome.json",
  "bun.lock",
  "bunfig.toml",
  "docs",
  "package.json",
  "policies",
  "src",
  "test",
  "tsconfig.json",
]);

/** Made by the tools and ignored by git. */
const MADE: ReadonlySet<string> = new Set(["coverage", "dist", "node_modules", ".claimgate"]);

const MOST_LINES = 400;

type Source = { readonly path: string; readonly text: string };

async function readSources(folder: string): Promise<readonly Source[]> {
  const paths = await Array.fromAsync(new Bun.Glob(`${folder}/**/*.{ts,tsx}`).scan(ROOT));
  return Promise.all(
    paths.sort().map(async (path) => ({ path, text: await Bun.file(join(ROOT, path)).text() })),
  );
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** White space, a comment, or an import, of types too; taken from the top while they last. */
const PREAMBLE =
  /\s+|\/\*[\s\S]*?\*\/|\/\/[^\n]*|import\s+(?:[^"';]*?\sfrom\s+)?"([^"]+)"(?:\s+with\s+\{[^}]*\})?;/y;

/** Everything a file imports, types and dynamic imports included. */
function importsOf(text: string): ReadonlySet<string> {
  const found = new Set(transpiler.scanImports(text).map((one) => one.path));
  PREAMBLE.lastIndex = 0;
  for (let match = PREAMBLE.exec(text); match !== null; match = PREAMBLE.exec(text)) {
    if (match[1] !== undefined) found.add(match[1]);
  }
  return found;
}

/** `src/policy/load.ts` is in the room `policy`, `src/types.ts` in a room of its own. */
const roomOf = (path: string) => path.split("/")[1] ?? "";
const floorOf = (room: string) => FLOORS.findIndex((floor) => floor.includes(room));

/** What is wrong with the imports of one file under src. */
function importOffences({ path, text }: Source): readonly string[] {
  const room = roomOf(path);
  const floor = floorOf(room);
  if (floor < 0) return [`${path}: ${room} is no room of the house`];
  return [...importsOf(text)].flatMap((specifier) => {
    const offence = (why: string) => [`${path}: ${specifier} ${why}`];
    if (!specifier.startsWith(".")) {
      if (/^(?:node|bun):|^bun$/.test(specifier)) return [];
      const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
      return Object.hasOwn(manifest.dependencies, name) ? [] : offence("is no dependency");
    }
    const target = normalize(join(dirname(path), specifier));
    if (!target.startsWith("src/")) {
      const may = EMBEDDED.some(
        ({ pattern, rooms }) => pattern.test(target) && rooms.includes(room),
      );
      return may ? [] : offence("is outside src");
    }
    const targetRoom = roomOf(target);
    if (targetRoom === room && !room.endsWith(".ts")) return [];
    return floorOf(targetRoom) > floor ? [] : offence("is not below");
  });
}

/** A shipped policy knows the SDK and its own helpers, like a user's. */
function policyOffences({ path, text }: Source): readonly string[] {
  return [...importsOf(text)]
    .filter(
      (specifier) => specifier !== "claimgate" && !/^\.{1,2}\/(?:.*\/)?_[^/]*$/.test(specifier),
    )
    .map((specifier) => `${path}: ${specifier} is neither the SDK nor a helper`);
}

describe("imports", () => {
  test("go down the house only", async () => {
    expect((await readSources("src")).flatMap(importOffences)).toEqual([]);
  });

  test("of shipped policies are those a user's policy could have", async () => {
    expect((await readSources("policies")).flatMap(policyOffences)).toEqual([]);
  });

  test.each([
    ["a room above", "src/lib/cidr.ts", `import { x } from "../gate/x.ts";`],
    ["a type from above", "src/lib/cidr.ts", `/** W. */\nimport type { T } from "../types.ts";`],
    ["a dynamic import", "src/lib/cidr.ts", `export const x = () => import("../errors.ts");`],
    ["several lines", "src/proxy/forward.ts", `import {\n  type X,\n} from "../identity/x.ts";`],
    ["the same floor", "src/errors.ts", `import { ok } from "./result.ts";`],
    ["a test", "src/gate/a.ts", `import { freePort } from "../../test/support/free-port.ts";`],
    ["a policy", "src/gate/a.ts", `import a from "../../policies/a.ts" with { type: "file" };`],
    ["a tool for tests", "src/gate/a.ts", `import fc from "fast-check";`],
    ["an unknown package", "src/gate/a.ts", `import "@scope/unknown/deep";`],
    ["an unknown room", "src/misc/a.ts", ``],
  ])("may not be of %s", (_, path, text) => {
    expect(importOffences({ path, text })).toHaveLength(1);
  });

  test.each([
    ["a neighbour", "src/gate/a.ts", `import { b } from "./b.ts";`],
    ["a type from below", "src/gate/a.ts", `import type { T } from "../types.ts";`],
    ["a policy to embed", "src/policy/a.ts", `import a from "../../policies/a.ts";`],
    ["a dependency", "src/identity/a.ts", `import { x } from "jose/jwt/verify";`],
    ["the runtime", "src/identity/a.ts", `import "node:fs";\nimport { test } from "bun";`],
    ["anything in a template", "src/cli/a.ts", 'export const T = `\nimport "claimgate";\n`;'],
  ])("may be of %s", (_, path, text) => {
    expect(importOffences({ path, text })).toEqual([]);
  });

  test.each([
    `import { Type } from "@sinclair/typebox";`,
    `import { readDevice } from "../src/lib/device.ts";`,
    `import other from "./require-roles.ts";`,
  ])("of a policy may not be %s", (text) => {
    expect(policyOffences({ path: "policies/a.ts", text })).toHaveLength(1);
  });
});

describe("files", () => {
  test("at the top are those everyone expects", async () => {
    const names = (await readdir(ROOT)).filter((name) => !MADE.has(name));
    expect(names.filter((name) => !TOP_LEVEL.has(name))).toEqual([]);
  });

  test("have names in kebab-case that say what they do", async () => {
    const named = /^(?:[a-z0-9]+-)*[a-z0-9]+(?:\.test|\.d)?\.tsx?$/;
    const vague = /^(?:utils?|helpers?|common|misc|index)\./;
    const sources = [...(await readSources("src")), ...(await readSources("test"))];
    const names = sources.map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
    expect(names.filter((name) => !named.test(name) || vague.test(name))).toEqual([]);
  });

  test(`of src and policies have at most ${MOST_LINES} lines`, async () => {
    const sources = [...(await readSources("src")), ...(await readSources("policies"))];
    const long = sources.filter(({ text }) => text.split("\n").length - 1 > MOST_LINES);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test("are finished: nothing is put off in a comment", async () => {
    const put = /\b(?:TO(?:)DO|FIX(?:)ME|XX(?:)X)\b/;
    const folders = await Promise.all(["src", "policies", "test"].map(readSources));
    const unfinished = folders.flat().filter(({ text }) => put.test(text));
    expect(unfinished.map(({ path }) => path)).toEqual([]);
  });

  test("re-export nothing but in the door for policies", async () => {
    const reExport = /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;]*?\sfrom\s+"/m;
    const barrels = (await readSources("src")).filter(({ text }) => reExport.test(text));
    expect(barrels.map(({ path }) => path).filter((path) => path !== "src/policy/sdk.ts")).toEqual(
      [],
    );
  });

  test("export nothing that no other file names", async () => {
    const folders = await Promise.all(["src", "policies", "test"].map(readSources));
    const filesWith = new Map<string, number>();
    for (const { text } of folders.flat()) {
      for (const word of new Set(text.match(/\w+/g))) {
        filesWith.set(word, (filesWith.get(word) ?? 0) + 1);
      }
    }
    const exported = /^export (?:async )?(?:function\*?|const|class|type) (\w+)/gm;
    const alone = (folders[0] ?? []).flatMap(({ path, text }) =>
      [...text.matchAll(exported)]
        .filter(([, name = ""]) => (filesWith.get(name) ?? 0) < 2)
        .map(([, name]) => `${path}: ${name}`),
    );
    expect(alone).toEqual([]);
  });

  test("declare no enum: unions of strings are plainer", async () => {
    const declared = /^(?:export\s+)?(?:const\s+|declare\s+)*enum\s/m;
    const sources = [...(await readSources("src")), ...(await readSources("policies"))];
    expect(sources.filter(({ text }) => declared.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("of unit tests stand in the room of what they test", async () => {
    const places = new Set((await readSources("src")).map(({ path }) => dirname(path)));
    const rooms = new Set(FLOORS.flat());
    const tests = (await readSources("test"))
      .map(({ path }) => path)
      .filter((path) => path.endsWith(".test.ts") && rooms.has(roomOf(path)));
    expect(tests.filter((path) => !places.has(dirname(path).replace(/^test/, "src")))).toEqual([]);
  });
});

describe("dependencies", () => {
  test("are pinned exactly", () => {
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test("are locked without an address, so that every registry can serve them", async () => {
    expect(await Bun.file(join(ROOT, "bun.lock")).text()).not.toMatch(/https?:/);
  });

  test("are each explained, with the version in use", async () => {
    const page = await Bun.file(join(ROOT, "docs/dependencies.md")).text();
    const rows = page.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
    const explained = new Set(rows.map(([, name, version]) => `${name} ${version}`));
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(all.filter(([name, version]) => !explained.has(`\`${name}\` ${version}`))).toEqual([]);
  });
});

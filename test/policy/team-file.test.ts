/** The example policy that reads a file: what it says follows the file. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { evaluate } from "../../src/policy/evaluate.ts";
import { compiled, loaded, policyFolder, question, ref } from "./policy-folder.ts";

const EXAMPLE = join(import.meta.dir, "../../docs/examples/policies/team-file.ts");

test("an edit counts by itself, and a file half written does not", async () => {
  const text = (await readFile(EXAMPLE, "utf8")).replace('"2s"', '"1ms"');
  await using folder = await policyFolder({ "team-file.ts": text, "teams.json": '{"ops":[]}' });
  const set = await loaded(folder.path);
  const program = compiled(set, ref("team-file", { anyOf: ["ops"] }));
  const isLetIn = async () => {
    await Bun.sleep(2); // what is kept is old by then
    const { verdict } = await evaluate(program, question({ sub: "bob" }), 1_000);
    return verdict.kind;
  };
  expect(await isLetIn()).toBe("deny");
  await folder.write({ "teams.json": '{"ops":["bob"]}' });
  expect(await isLetIn()).toBe("allow");
  for (const slip of ['{"ops":["bo', '{"ops":"bob"}', "[]x"]) {
    await folder.write({ "teams.json": slip });
    expect(await isLetIn()).toBe("allow");
  }
  set.dispose();
});

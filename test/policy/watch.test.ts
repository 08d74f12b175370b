import { describe, expect, test } from "bun:test";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { watchFiles } from "../../src/policy/watch.ts";
import { policyFolder } from "./policy-folder.ts";

/** Counts changes, and waits for the next one. */
function watching(...paths: readonly string[]) {
  let changes = 0;
  let next = Promise.withResolvers<void>();
  const watcher = watchFiles(paths, () => {
    changes++;
    next.resolve();
    next = Promise.withResolvers();
  });
  return {
    changes: () => changes,
    /** Makes a change and waits until it is told. */
    async after(change: () => Promise<unknown>): Promise<void> {
      const told = next.promise;
      await change();
      await told;
    },
    [Symbol.dispose]: () => watcher.close(),
  };
}

describe("watchFiles()", () => {
  test("tells of a file written, added, renamed over and removed, also deep down", async () => {
    await using folder = await policyFolder({ "a.ts": "1", "deep/er/b.ts": "1", "c.ts": "1" });
    using watch = watching(folder.path);
    await watch.after(() => folder.write({ "a.ts": "2" }));
    await watch.after(() => folder.write({ "deep/er/b.ts": "2" }));
    await watch.after(() => folder.write({ "new/d.ts": "1" }));
    await watch.after(() => rename(join(folder.path, "c.ts"), join(folder.path, "a.ts")));
    await watch.after(() => rm(join(folder.path, "a.ts")));
    expect(watch.changes()).toBe(5);
  });

  test("tells of a file and of a folder that appear later", async () => {
    await using folder = await policyFolder();
    const [file, policies] = [join(folder.path, "gate.yaml"), join(folder.path, "policies")];
    using watch = watching(file, policies);
    await watch.after(() => writeFile(file, "x"));
    await watch.after(() => mkdir(policies).then(() => writeFile(join(policies, "a.ts"), "1")));
    await watch.after(() => writeFile(join(policies, "a.ts"), "2"));
  });

  test("tells of a file that editors replace, again and again", async () => {
    await using folder = await policyFolder({ "gate.yaml": "0" });
    const file = join(folder.path, "gate.yaml");
    using watch = watching(file);
    for (const text of ["1", "2", "3"]) {
      await watch.after(async () => {
        await writeFile(`${file}~`, text);
        await rename(`${file}~`, file);
      });
    }
  });

  test("says nothing of dotfiles and node_modules", async () => {
    await using folder = await policyFolder({ "a.ts": "0" });
    await using other = await policyFolder();
    using watch = watching(folder.path);
    // This one has no events to wake it, so it tells after the other would have.
    using later = watching(join(other.path, "later"));
    await later.after(async () => {
      await folder.write({ ".a.ts.swp": "x", "node_modules/x/index.ts": "x" });
      await other.write({ "later/b.ts": "1" });
    });
    expect(watch.changes()).toBe(0);
  });

  test("tells of a burst once", async () => {
    await using folder = await policyFolder({ "a.ts": "0" });
    using watch = watching(folder.path);
    await watch.after(async () => {
      for (let n = 0; n < 20; n++) await folder.write({ [`b${n}.ts`]: "x" });
    });
    await watch.after(() => folder.write({ "a.ts": "1" }));
    expect(watch.changes()).toBe(2);
  });

  test("says nothing once closed", async () => {
    await using folder = await policyFolder({ "a.ts": "0" });
    const closed = watching(folder.path);
    closed[Symbol.dispose]();
    // This one has no events to wake it, so it tells after the closed one would have.
    using later = watching(join(folder.path, "later"));
    await later.after(() => folder.write({ "a.ts": "1", "later/b.ts": "1" }));
    expect(closed.changes()).toBe(0);
  });
});

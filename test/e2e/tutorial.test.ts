/**
 * The tutorial does what it says: its files are those of the example, and its commands print what
 * the page shows. `CLAIMGATE_WRITE_PAGE=1 bun test test/e2e/tutorial.test.ts` puts what they print
 * now into the page; shorten it there with `…`, and run the test again.
 */
import { expect, test } from "bun:test";
import { cp, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { compiledExecutable } from "../support/executable.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { openShell } from "../support/shell.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { until } from "./claimgate.ts";
import { changed, isShown, normal, requestIdsIn, stepsOf, withOutputs } from "./console-page.ts";

const ROOT = join(import.meta.dir, "../..");
const PAGE = join(ROOT, "docs/tutorial.md");
const EXAMPLE = join(ROOT, "docs/examples/tutorial");
const PORT = "8080";
const WRITES = process.env.CLAIMGATE_WRITE_PAGE === "1";
const RELOAD_LIMIT_MS = 10_000;

describeWith("curl", "docs/tutorial.md", () => {
  describeWith("faketime", "from end to end", () => {
    test("every file, change and command", async () => {
      const page = await Bun.file(PAGE).text();
      const port = String(freePort());
      await using bin = await tempFolder();
      await symlink(await compiledExecutable(), join(bin.path, "claimgate"));
      await using folder = await tempFolder();
      await cp(EXAMPLE, folder.path, { recursive: true });
      const at = (file: string) => Bun.file(join(folder.path, file));
      const read = async (file: string) => ((await at(file).exists()) ? await at(file).text() : "");
      const ours = (text: string) => text.replaceAll(PORT, port);
      for (const file of ["claimgate.yaml", "desk.scenarios.yaml", "day.sh"]) {
        await Bun.write(at(file), ours(await read(file)));
      }
      await using shell = openShell(folder.path, {
        PATH: `${bin.path}:${process.env.PATH}`,
        NO_COLOR: "1",
      });

      const shownFiles = new Set<string>();
      /** The page's request ids, and those that the same lines had here. */
      const ids = new Map<string, string>();
      const here = (command: string) =>
        [...ids].reduce((text, [shown, id]) => text.replaceAll(shown, id), ours(command));
      const there = (output: string) =>
        [...ids].reduce((text, [shown, id]) => text.replaceAll(id, shown), output);
      const written: string[] = [];
      let running = false;
      const events = async () => (await read("gate.log")).match(/"event":"(reloaded|listening)"/g);

      for (const step of stepsOf(page)) {
        const where = `docs/tutorial.md:${step.line}`;
        const before = { config: await read("claimgate.yaml"), log: (await events())?.length ?? 0 };
        if (step.kind === "file") {
          expect({ where, text: ours(step.text) }).toEqual({ where, text: await read(step.file) });
          shownFiles.add(step.file);
        } else if (step.kind === "change") {
          await Bun.write(at(step.file), changed(await read(step.file), ours(step.text)));
        } else {
          const output = (await shell.run(here(step.command))).replaceAll(port, PORT);
          const holds = isShown(normal(output), normal(step.output));
          if (WRITES) written.push(holds ? step.output : there(output));
          else if (!holds) {
            expect({ where, output: normal(output) }).toEqual({
              where,
              output: normal(step.output),
            });
          }
          const real = requestIdsIn(output);
          for (const [index, id] of requestIdsIn(step.output).entries()) {
            const same = real[index];
            if (same !== undefined) ids.set(id, same);
          }
        }
        const starts = step.kind === "command" && step.command.endsWith("&");
        running ||= starts;
        if (starts || (running && before.config !== (await read("claimgate.yaml")))) {
          const isTold = async () => ((await events())?.length ?? 0) > before.log;
          await until(`what the gate says after ${where}`, RELOAD_LIMIT_MS, isTold);
        }
      }
      if (WRITES) await Bun.write(PAGE, withOutputs(page, written));

      // What the page does not show, it links to.
      const all = await readdir(EXAMPLE, { recursive: true });
      const unnamed = all.filter(
        (file) =>
          /\.\w+$/.test(file) &&
          !shownFiles.has(file) &&
          !page.includes(`examples/tutorial/${file}`),
      );
      expect(unnamed).toEqual([]);
    }, 120_000);
  });
});

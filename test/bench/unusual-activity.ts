/**
 * The whole simulation of `unusual-activity`: 10,000 people and 50 thefts on six seeds, and on one
 * of them with databases that know less. `bun test/bench/unusual-activity.ts` prints the figures,
 * `--write` puts them into the page for users. It takes some minutes.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import {
  type Figures,
  figuresOf,
  OTHER_SEEDS,
  REPORTED_SEED,
  SAMPLE,
  sectionOf,
  withFigures,
} from "../policies/unusual-simulation/figures.ts";
import { type Geo, PEOPLE, simulate } from "../policies/unusual-simulation/simulate.ts";

const PAGE = join(import.meta.dir, "../../docs/unusual-activity.md");
const [command, ...given] = process.argv.slice(2);

if (command === "--one") {
  const [seed, people, geo] = given;
  const scope = { seed: Number(seed), people: Number(people), geo: geo as Geo };
  console.log(JSON.stringify(figuresOf(await simulate(scope))));
} else await all();

async function all(): Promise<void> {
  const wanted: readonly (readonly [number, number, Geo])[] = [
    [REPORTED_SEED, PEOPLE, "places"],
    ...OTHER_SEEDS.map((seed) => [seed, PEOPLE, "places"] as const),
    [REPORTED_SEED, PEOPLE, "countries"],
    [REPORTED_SEED, PEOPLE, "none"],
    [REPORTED_SEED, SAMPLE, "places"],
  ];
  const figures: Figures[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < wanted.length; at = next++) {
      const [seed, people, geo] = wanted[at] ?? [0, 0, "none"];
      figures[at] = await inChild([String(seed), String(people), geo]);
      console.error(`seed ${seed}, ${people} people, ${geo}: ${figures[at]?.caught} of 50 caught`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  const [countries, none, sample] = figures.slice(-3);
  if (countries === undefined || none === undefined || sample === undefined) return;
  const section = sectionOf(figures.slice(0, -3), { countries, none, sample });
  console.log(section);
  if (command === "--write") {
    await Bun.write(PAGE, withFigures(await Bun.file(PAGE).text(), section));
  }
}

/** A process for each run: two at a time. */
async function inChild(scope: readonly string[]): Promise<Figures> {
  const child = Bun.spawn([process.execPath, import.meta.path, "--one", ...scope], {
    stdin: "ignore",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`the run ${scope.join(" ")} failed`);
  return JSON.parse(text);
}

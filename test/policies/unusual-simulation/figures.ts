/** What the page for users says of the simulation, and where it stands there. */
import { byKind, type Geo, type Outcome, PEOPLE } from "./simulate.ts";

/** Not among the seeds on which weights and thresholds were chosen: 1 to 4, and 101 to 112. */
export const REPORTED_SEED = 2026;
export const OTHER_SEEDS: readonly number[] = [2027, 2028, 2029, 2030, 2031];
/** So many people are gone through whenever the tests run. */
export const SAMPLE = 1_000;

/** What is kept of a run. */
export type Figures = {
  readonly seed: number;
  readonly geo: Geo;
  readonly people: number;
  readonly tokens: number;
  readonly questions: number;
  readonly falseAlarms: number;
  /** What they were: `VPN: simultaneous_use`. */
  readonly alarms: readonly string[];
  readonly leftOpen: number;
  readonly caught: number;
  readonly kinds: readonly {
    readonly kind: string;
    readonly of: number;
    readonly caught: number;
  }[];
  /** Requests of the thief that had passed before it was caught, in the middle of those caught. */
  readonly medianPassed: number;
};

export function figuresOf({ scope, thefts, ...outcome }: Outcome): Figures {
  const caught = thefts.flatMap((one) => one.caught ?? []);
  const passed = caught.map((one) => one.passed).sort((one, other) => one - other);
  return {
    seed: scope.seed,
    geo: scope.geo,
    people: scope.people,
    tokens: outcome.tokens,
    questions: outcome.questions,
    falseAlarms: outcome.falseAlarms.length,
    alarms: outcome.falseAlarms.map(({ life, code }) => `${life.about}: ${code}`).sort(),
    leftOpen: outcome.leftOpen,
    caught: caught.length,
    kinds: byKind({ thefts }).map(({ kind, of, caught }) => ({ kind, of, caught })),
    medianPassed: passed[passed.length >> 1] ?? 0,
  };
}

/** Rows of the table of kinds: one for each, with what is caught by each kind of database. */
export function kindRows(
  places: Figures,
  countries: Pick<Figures, "kinds">,
  none: Pick<Figures, "kinds">,
): readonly string[] {
  const caughtOf = ({ kinds }: Pick<Figures, "kinds">, kind: string) =>
    kinds.find((one) => one.kind === kind)?.caught ?? 0;
  const rows = places.kinds.map(({ kind, of, caught }) =>
    row(kind, of, caught, caughtOf(countries, kind), caughtOf(none, kind)),
  );
  const sum = ({ kinds }: Pick<Figures, "kinds">) =>
    kinds.reduce((total, { caught }) => total + caught, 0);
  return [...rows, row("all", 50, sum(places), sum(countries), sum(none))];
}

export function seedRow({ seed, caught, falseAlarms, leftOpen }: Figures): string {
  return row(seed, `${caught} of 50`, falseAlarms, leftOpen);
}

export function sampleLine({ tokens, questions, falseAlarms, leftOpen }: Figures): string {
  const of = `The first ${number(SAMPLE)} people of seed ${REPORTED_SEED}, whom the tests go through each time`;
  return `${of}: ${number(tokens)} tokens, ${number(questions)} questions, ${falseAlarms} false alarms, ${leftOpen} pages left open.`;
}

/** @param runs All of them with places: the reported seed first. */
export function sectionOf(
  runs: readonly Figures[],
  others: { readonly countries: Figures; readonly none: Figures; readonly sample: Figures },
): string {
  const [reported] = runs;
  if (reported === undefined) throw new RangeError("there is no run to report");
  const { countries, none, sample } = others;
  return [
    `Thefts of seed ${REPORTED_SEED} that were caught, by what the database of \`geo\` knows:`,
    "",
    row("the token is used …", "thefts", "places", "countries", "no database"),
    row("---", "--:", "--:", "--:", "--:"),
    ...kindRows(reported, countries, none),
    "",
    `Half of those caught were caught ${whenCaught(reported)}.`,
    `False alarms among ${number(PEOPLE)} people in the week: ${reported.falseAlarms} with places, ${countries.falseAlarms} with countries, ${none.falseAlarms} without a database.`,
    "",
    "The same with places, on other seeds:",
    "",
    row("seed", "thefts caught", "false alarms", "pages left open"),
    row("---", "--:", "--:", "--:"),
    ...runs.map(seedRow),
    "",
    `What the false alarms were: ${alarmsOf(runs)}.`,
    "",
    sampleLine(sample),
  ].join("\n");
}

function whenCaught({ medianPassed }: Figures): string {
  return medianPassed === 0
    ? "at the thief's first request"
    : `before more than ${number(medianPassed)} of the thief's requests had passed`;
}

function alarmsOf(runs: readonly Figures[]): string {
  const counts = new Map<string, number>();
  for (const one of runs.flatMap(({ alarms }) => alarms)) {
    counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  const told = [...counts].sort((one, other) => other[1] - one[1]);
  return told.length === 0 ? "none" : told.map(([what, times]) => `${times} × ${what}`).join("; ");
}

function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

const BEGIN = "<!-- figures: written by `bun test/bench/unusual-activity.ts` -->";
const END = "<!-- end of figures -->";

/** The page with that section in its place. */
export function withFigures(page: string, section: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new RangeError("the page has no place for the figures");
  return `${page.slice(0, begin + BEGIN.length)}\n\n${section}\n\n${page.slice(end)}`;
}

export function figuresIn(page: string): string {
  return page.slice(page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)).trim();
}

/**
 * `claimgate audit verify`: says whether the audit is as it was written.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { auditKeyFolder, readAuditKey } from "../../audit/key.ts";
import { type ChainProblem, type Verification, verifyChains } from "../../audit/verify.ts";
import type { Config } from "../../config/resolved.ts";
import { GateError } from "../../errors.ts";
import { openStore } from "../../store/open.ts";
import { counted, type Paint, paintFor, printableJson, visible } from "../paint.ts";
import { loadStoreConfig } from "../store-config.ts";

export type VerifyFlags = { readonly config: string; readonly json?: true };

/** Sets `process.exitCode`: 1 where it does not hold. */
export async function verifyAudit(flags: VerifyFlags): Promise<void> {
  const config = await loadStoreConfig(flags.config);
  const verification = await verifyStored(config);
  if (!verification.ok) process.exitCode = 1;
  if (flags.json) process.stdout.write(`${printableJson(verification)}\n`);
  else process.stdout.write(verificationLines(verification, paintFor(process.stdout)));
}

/** What does not hold, and the verdict. */
export function verificationLines(
  { problems, records, writers, ok }: Verification,
  paint: Paint,
): string {
  const what = `${counted(records, "record")} in ${counted(writers, "chain")}`;
  const verdict = ok ? "all hold" : counted(problems.length, "problem");
  const lines = problems.map((problem) => paint(lineOf(problem), "red"));
  return `${[...lines, paint(`${what}: ${verdict}`, ok ? "green" : "red")].join("\n")}\n`;
}

/** @throws GateError `store_damaged` for a store that is gone though its key is there. */
export async function verifyStored(config: Config): Promise<Verification> {
  const key = await readAuditKey(auditKeyFolder(config));
  if (config.store.kind === "sqlite" && !existsSync(config.store.file)) {
    if (key === undefined) return { ok: true, records: 0, writers: 0, problems: [] };
    const { file } = config.store;
    const message = `${file} is gone, yet the key of its audit is there: the whole audit was moved or removed`;
    throw new GateError("store_damaged", message);
  }
  const store = await openStore(config.store, { now: Date.now });
  try {
    return await verifyChains(store, key);
  } finally {
    await store.close();
  }
}

function lineOf(problem: ChainProblem): string {
  const { writer, firstSeq, lastSeq, at } = problem;
  const which = firstSeq === lastSeq ? `record ${firstSeq}` : `records ${firstSeq} to ${lastSeq}`;
  const where = `${which} of chain ${visible(writer)}`;
  return at === undefined
    ? `${where}: ${WORDS[problem.kind]}`
    : `${where}: ${WORDS[problem.kind]} (${isMissing(problem) ? "after" : "of"} ${at})`;
}

const isMissing = ({ kind }: ChainProblem) => kind === "removed" || kind === "cut";

const WORDS: Readonly<Record<ChainProblem["kind"], string>> = {
  changed: "changed, moved or put in",
  removed: "removed",
  cut: "removed: the end of the chain is cut off",
  mislabelled: "filed under what it does not say: searches would miss it",
  unanchored: "nothing vouches for them: no anchor leads there",
  unknown_key: "signed with another key than the one here: verify where that one is",
};

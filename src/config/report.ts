/**
 * Collects findings while a configuration is read.
 *
 * @module
 */
import type { Finding } from "../errors.ts";
import type { Position, YamlPath } from "./resolved.ts";
import type { Problem, Source } from "./source.ts";

export type Report = {
  /** At a value, or at its nearest ancestor that is written. */
  readonly at: (path: YamlPath, problem: Problem) => void;
  /** At the key of a map's member. */
  readonly atKey: (path: YamlPath, problem: Problem) => void;
  /** In order of place. */
  readonly findings: () => readonly Finding[];
};

/** What reading any part of a configuration needs. */
export type Reading = {
  readonly source: Source;
  readonly report: Report;
  /** Absolute; relative paths are relative to it. */
  readonly folder: string;
};

/** @param file As findings show it. */
export function openReport(file: string, source: Source): Report {
  const findings: Finding[] = [];
  const add = (position: Position, problem: Problem) =>
    findings.push({ severity: "error", ...problem, file, ...position });
  for (const { position, ...problem } of source.problems) add(position, problem);
  return {
    at: (path, problem) => void add(source.positionOf(path), problem),
    atKey: (path, problem) => void add(source.keyPositionOf(path), problem),
    findings: () => findings.toSorted((a, b) => a.line - b.line || a.column - b.column),
  };
}

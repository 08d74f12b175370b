/**
 * What the schema of claimgate.yaml is put together from: one function a kind of value.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";

/** Refuses keys that it does not know. */
export const Closed = { additionalProperties: false } as const;

const DURATION_PATTERN = "^\\d+(\\.\\d+)?(ms|s|m|h|d)$";

export const Duration = (description: string, preset?: string) =>
  Type.String({
    title: "duration",
    description,
    pattern: DURATION_PATTERN,
    ...(preset !== undefined && { default: preset }),
  });

export const Text = (description: string, preset?: string) =>
  Type.String({ description, ...(preset !== undefined && { default: preset }) });

/** Never shown in a finding. */
export const Secret = (description?: string) =>
  Type.String({ ...(description !== undefined && { description }), writeOnly: true });

export const Switch = (description: string, preset: boolean) =>
  Type.Boolean({ description, default: preset });

export const Texts = (
  description: string,
  options: { default?: string[]; examples?: string[][] } = {},
) => Type.Array(Type.String(), { description, ...options });

export const TextMap = (description: string, options: { writeOnly?: boolean } = {}) =>
  Type.Record(Type.String(), Type.String(options), { description });

/** A whole number; both ends are allowed. */
export const Count = (
  description: string,
  preset: number,
  [minimum, maximum]: readonly [number, number],
) => Type.Integer({ description, default: preset, minimum, maximum });

/** One of a few words, the first being the default. */
export const Choice = <Words extends readonly [string, ...string[]]>(
  description: string,
  ...words: Words
) =>
  Type.Union(
    words.map((word) => Type.Literal(word as Words[number])),
    { description, default: words[0] },
  );

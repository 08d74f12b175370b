/**
 * YAML with places: a file's text becomes plain data in which `${NAME}` is replaced, and every
 * path in it knows its line and column. Bounded: depth, and the number of values that
 * aliases may unfold to.
 *
 * @module
 */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from "yaml";
import { type Environment, type SubstitutionError, substitute } from "./environment.ts";
import type { Position, YamlPath } from "./resolved.ts";

/** Stands where a value could not be read; what is wrong with it is already among the problems. */
export const UNREADABLE: unique symbol = Symbol("unreadable");

/** What is wrong, without its place. `message` and `fix` as in `Finding`. */
export type Problem = {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
};

export type Source = {
  readonly value: unknown;
  readonly problems: readonly (Problem & { readonly position: Position })[];
  /** The text is not YAML: `value` is a guess. */
  readonly isBroken: boolean;
  /** The place of a value, of a block's key, or of the nearest ancestor that is written. */
  readonly positionOf: (path: YamlPath) => Position;
  readonly keyPositionOf: (path: YamlPath) => Position;
  /** Whether something stands there, readable or not. */
  readonly has: (path: YamlPath) => boolean;
  /** The variables that a scalar's text came from; empty when it is as written. */
  readonly variablesOf: (path: YamlPath) => readonly string[];
  /** A scalar's text as written, before `${NAME}` was replaced. */
  readonly writtenAt: (path: YamlPath) => string | undefined;
};

const DEPTH_LIMIT = 64;
const VALUE_LIMIT = 50_000;

/** What is known of one path. */
type Entry = {
  readonly value?: Position;
  readonly key?: Position;
  readonly written?: string;
  readonly variables?: readonly string[];
};

/** @param text The file's; bounded by the caller. */
export function readSource(text: string, environment: Environment): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: "1.2",
    schema: "core",
    merge: false,
    resolveKnownTags: false,
    uniqueKeys: false, // checked below: the parser's own check takes time squared
    logLevel: "error", // "silent" would take the first of several documents for the whole
  });
  const reader = new Reader(document, lines, environment);
  const value = reader.readRoot();
  const entryOf = (path: YamlPath) => reader.entries.get(JSON.stringify(path));
  const nearest = (path: YamlPath): Position => {
    for (let length = path.length; length > 0; length--) {
      const entry = entryOf(path.slice(0, length));
      const position = entry?.value ?? entry?.key;
      if (position !== undefined) return position;
    }
    return { line: 1, column: 1 };
  };
  return {
    value,
    problems: reader.problems,
    isBroken: reader.isBroken,
    positionOf: nearest,
    keyPositionOf: (path) => entryOf(path)?.key ?? nearest(path),
    has: (path) => entryOf(path) !== undefined,
    variablesOf: (path) => entryOf(path)?.variables ?? [],
    writtenAt: (path) => entryOf(path)?.written,
  };
}

class Reader {
  readonly entries = new Map<string, Entry>();
  readonly problems: (Problem & { position: Position })[] = [];
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #environment: Environment;
  isBroken = false;
  #values = 0;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();

  constructor(document: Document.Parsed, lines: LineCounter, environment: Environment) {
    this.#document = document;
    this.#lines = lines;
    this.#environment = environment;
  }

  readRoot(): unknown {
    // A tag that is not resolved is a warning to the parser; here it would change a value's meaning.
    for (const error of [...this.#document.errors, ...this.#document.warnings]) {
      const problem = syntaxProblem(error);
      const position = this.#positionAt(error.pos[0]);
      this.isBroken = true;
      // One slip makes the parser stumble several times over the same line.
      const isRepeat = this.problems.some((other) => other.position.line === position.line);
      if (!isRepeat || problem.code !== "yaml_invalid")
        this.problems.push({ ...problem, position });
    }
    const root = this.#document.contents;
    return root === null ? null : this.#read(root, [], undefined, new Set(), undefined);
  }

  /**
   * @param keyPosition Of the key that a map's value belongs to.
   * @param within The nodes around this one, to tell an alias of itself.
   * @param aliasPosition Of the alias that repeats this: everything in it is found there, as
   *   what is wrong at its first place is told there.
   */
  #read(
    node: Node,
    path: YamlPath,
    keyPosition: Position | undefined,
    within: ReadonlySet<Node>,
    aliasPosition: Position | undefined,
  ): unknown {
    const position = aliasPosition ?? this.#positionOf(node, keyPosition);
    const place = {
      ...(position !== undefined && { value: position }),
      ...(keyPosition !== undefined && { key: keyPosition }),
    };
    this.entries.set(JSON.stringify(path), place);
    const refuse = (problem: Problem): typeof UNREADABLE => {
      this.problems.push({ ...problem, position: position ?? { line: 1, column: 1 } });
      return UNREADABLE;
    };

    this.#values += 1;
    if (this.#values > VALUE_LIMIT) {
      // Said once; the rest of the file is not looked at.
      return this.#values === VALUE_LIMIT + 1 ? refuse(TOO_MANY_VALUES) : UNREADABLE;
    }
    if (path.length > DEPTH_LIMIT) return refuse(TOO_DEEP);

    if (isAlias(node)) {
      const target = this.#targetOf(node);
      if (target === undefined) return refuse(ALIAS_OF_NOTHING);
      if (within.has(target)) return refuse(ALIAS_OF_ITSELF);
      return this.#read(target, path, keyPosition, new Set([...within, target]), position);
    }
    if (node.anchor !== undefined && aliasPosition === undefined) {
      this.#anchors.set(node.anchor, node);
    }
    if (isScalar(node)) return this.#readScalar(node, path, place, refuse);
    const inside = new Set([...within, node]);
    if (isSeq(node)) {
      return node.items.map((item, index) =>
        this.#read(item as Node, [...path, index], undefined, inside, aliasPosition),
      );
    }
    return isMap(node) ? this.#readMap(node.items, path, inside, aliasPosition) : UNREADABLE;
  }

  /**
   * The last anchor of that name before the alias (YAML 1.2.2 §7.1). Nodes are first met in
   * their order in the file, so that is what the map holds then; the parser's own look-up goes
   * through the whole file each time.
   */
  #targetOf(alias: Alias): Node | undefined {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source);
    if (target !== undefined) this.#targets.set(alias, target);
    return target;
  }

  #readMap(
    pairs: readonly Pair[],
    path: YamlPath,
    within: ReadonlySet<Node>,
    aliasPosition: Position | undefined,
  ): unknown {
    const map: Record<string, unknown> = {};
    for (const pair of pairs) {
      if (!isPair(pair) || !isScalar(pair.key)) {
        const position = this.#positionOf(pair.key as Node, undefined) ?? { line: 1, column: 1 };
        this.problems.push({ ...KEY_NOT_TEXT, position });
        continue;
      }
      const name = typeof pair.key.value === "string" ? pair.key.value : pair.key.source;
      const key = name ?? String(pair.key.value);
      const keyPosition = aliasPosition ?? this.#positionAt(pair.key.range?.[0] ?? 0);
      if (key === "__proto__") {
        this.problems.push({ ...KEY_NOT_TEXT, position: keyPosition });
        continue;
      }
      if (Object.hasOwn(map, key)) {
        this.problems.push({ ...KEY_DUPLICATE, position: keyPosition });
        continue;
      }
      const at = [...path, key];
      if (pair.value === null) {
        this.entries.set(JSON.stringify(at), { key: keyPosition });
        map[key] = null;
      } else {
        map[key] = this.#read(pair.value as Node, at, keyPosition, within, aliasPosition);
      }
    }
    return map;
  }

  #readScalar(
    node: Node & { value: unknown; source?: string },
    path: YamlPath,
    place: Entry,
    refuse: (problem: Problem) => typeof UNREADABLE,
  ): unknown {
    const { value } = node;
    if (typeof value !== "string" || !value.includes("$")) {
      const written = node.source ?? String(value);
      this.entries.set(JSON.stringify(path), { ...place, written });
      return value;
    }
    const substitution = substitute(value, this.#environment);
    if (!substitution.ok) return refuse(environmentProblem(substitution.error));
    const { text, names: variables } = substitution.value;
    this.entries.set(JSON.stringify(path), { ...place, written: value, variables });
    return text;
  }

  /** A block below its key and what is left out are found at the key; everything else where it begins. */
  #positionOf(node: Node | null, keyPosition: Position | undefined): Position | undefined {
    const isBlock = isCollection(node) && node.flow !== true;
    const isLeftOut = isScalar(node) && node.source === "" && node.value === null;
    if ((isBlock || isLeftOut) && keyPosition !== undefined) return keyPosition;
    const offset = node?.range?.[0];
    return offset === undefined ? keyPosition : this.#positionAt(offset);
  }

  #positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

const TOO_MANY_VALUES: Problem = {
  code: "yaml_too_large",
  message: `the file holds more than ${VALUE_LIMIT} values once its aliases are unfolded`,
  fix: "use fewer aliases",
};
const TOO_DEEP: Problem = {
  code: "yaml_too_deep",
  message: `nested more than ${DEPTH_LIMIT} levels deep`,
  fix: "nest less",
};
const ALIAS_OF_ITSELF: Problem = {
  code: "yaml_invalid",
  message: "this alias stands inside the value that it repeats",
  fix: "write the value out",
};
const ALIAS_OF_NOTHING: Problem = {
  code: "yaml_invalid",
  message: "a value that begins with * repeats an anchor, and there is none of this name",
  fix: "put the value in quotes",
};
const KEY_DUPLICATE: Problem = {
  code: "key_duplicate",
  message: "this key was already given in the same map",
  fix: "keep one of the two",
};
const KEY_NOT_TEXT: Problem = {
  code: "yaml_invalid",
  message: "a key must be plain text",
  fix: "write a word before the colon",
};

/** What the parser says, without the text that it quotes: that may be a secret. */
function syntaxProblem(error: YAMLError): Problem {
  switch (error.code) {
    case "TAG_RESOLVE_FAILED":
      return {
        code: "yaml_invalid",
        message: "tags are not used here",
        fix: "remove the tag, or put the value in quotes",
      };
    case "MULTIPLE_DOCS":
      return {
        code: "yaml_invalid",
        message: "more than one document in the file",
        fix: "remove the --- line and what follows it",
      };
    default:
      return {
        code: "yaml_invalid",
        message: `not valid YAML: ${withoutQuotation(error.message)}`,
        fix: `mend the indentation or punctuation here; values with \${…}, : or # inside [ ] and { } need quotes`,
      };
  }
}

/** One line, without the piece of the file that some messages end in. */
function withoutQuotation(message: string): string {
  const [firstLine = ""] = message.split("\n");
  const text = firstLine.replace(/(?:: (?!between )| \\).*$/, "").replace(/\.$/, "");
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function environmentProblem(error: SubstitutionError): Problem {
  if (error.reason === "malformed") {
    return {
      code: "reference_malformed",
      message: "${ begins no reference to the environment",
      fix: `write \${NAME} or \${NAME:-default}, or $\${ for the characters themselves`,
    };
  }
  return {
    code: "environment_unset",
    message: `the environment variable ${error.name} is not set`,
    fix: `set ${error.name}, or write \${${error.name}:-default}`,
  };
}

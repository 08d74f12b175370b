/**
 * What lies in the SQLite file, version by version.
 *
 * @module
 */
import type { Database } from "bun:sqlite";

/** "Clmg": how a file of ours is told from another program's database. */
export const APPLICATION_ID = 0x436c6d67;

/**
 * Step n brings version n to n + 1. A step that has been released is never edited; the next one
 * mends it.
 *
 * The indexes of `records` are what `find` may be asked by, each with the time behind it, so
 * that the newest come first without sorting. `writers` outlives the records it tells of.
 */
const STEPS: readonly string[] = [
  `
  PRAGMA application_id = ${APPLICATION_ID};

  CREATE TABLE store (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL
  ) STRICT;
  INSERT INTO store VALUES (1, lower(hex(randomblob(8))), 0);

  CREATE TABLE writers (
    writer     TEXT    PRIMARY KEY,
    swept_seq  INTEGER NOT NULL,
    swept_mac  TEXT    NOT NULL,
    last_seq   INTEGER NOT NULL,
    last_mac   TEXT    NOT NULL,
    last_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE records (
    id         INTEGER PRIMARY KEY,
    writer     TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    mac        TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    request_id TEXT,
    subject    TEXT,
    route      TEXT,
    code       TEXT,
    denied     INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX records_chain ON records (writer, seq);
  CREATE INDEX records_time ON records (at_ms);
  CREATE INDEX records_request ON records (request_id) WHERE request_id IS NOT NULL;
  CREATE INDEX records_subject ON records (subject, at_ms) WHERE subject IS NOT NULL;
  CREATE INDEX records_route ON records (route, at_ms) WHERE route IS NOT NULL;
  CREATE INDEX records_code ON records (code, at_ms) WHERE code IS NOT NULL;
  CREATE INDEX records_denied ON records (at_ms) WHERE denied = 1;
  CREATE INDEX records_act ON records (at_ms) WHERE kind = 'act';

  CREATE TABLE revocations (
    kind     TEXT    NOT NULL,
    issuer   TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    author   TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, issuer, value)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revocations_until ON revocations (until_ms);
  `,
  // `body` is the whole sighting as JSON; the columns beside it are what it is found by.
  `
  CREATE TABLE sightings (
    id         TEXT    PRIMARY KEY,
    subject    TEXT    NOT NULL,
    until_ms   INTEGER NOT NULL,
    last_ms    INTEGER NOT NULL,
    is_session INTEGER NOT NULL,
    is_unusual INTEGER NOT NULL,
    has_lint   INTEGER NOT NULL,
    body       TEXT    NOT NULL
  ) STRICT;
  CREATE INDEX sightings_until ON sightings (until_ms);
  CREATE INDEX sightings_last ON sightings (last_ms);
  CREATE INDEX sightings_subject ON sightings (subject, last_ms);
  CREATE INDEX sightings_session ON sightings (last_ms) WHERE is_session = 1;
  CREATE INDEX sightings_unusual ON sightings (last_ms) WHERE is_unusual = 1;
  CREATE INDEX sightings_lint ON sightings (last_ms) WHERE has_lint = 1;

  CREATE TABLE single_values (
    key      TEXT    PRIMARY KEY,
    until_ms INTEGER NOT NULL,
    value    TEXT    NOT NULL
  ) STRICT;
  CREATE INDEX single_values_until ON single_values (until_ms);
  `,
];

/** The newest version that this binary knows. */
export const SCHEMA_VERSION = STEPS.length;

export function versionOf(database: Database): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}

/**
 * Brings the file to our version, in one transaction; two processes may do so at once.
 *
 * @returns Whether it is at our version now: not when another, newer binary was faster.
 */
export function migrate(database: Database): boolean {
  if (versionOf(database) === SCHEMA_VERSION) return true;
  const steps = database.transaction(() => {
    const from = versionOf(database);
    if (from >= SCHEMA_VERSION) return from === SCHEMA_VERSION;
    for (const step of STEPS.slice(from)) database.run(step);
    database.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    return true;
  });
  return steps.immediate();
}

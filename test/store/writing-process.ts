/**
 * A process that writes to an SQLite store until it is killed, and says what has been resolved:
 * `bun writing-process.ts FILE WRITER`.
 *
 * @module
 */
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { record, revocation } from "./contract.ts";

const [, , file = "", writer = ""] = process.argv;
const store = await openSqliteStore(file, { now: () => 2_000 });
for (let batch = 0; ; batch++) {
  const seqs = Array.from({ length: 20 }, (_, at) => batch * 20 + at + 1);
  await store.append(seqs.map((seq) => record(writer, seq)));
  await store.revoke(revocation({ value: `${writer}-${batch}` }));
  process.stdout.write(`${batch}\n`);
}

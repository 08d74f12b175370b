/**
 * Writes more to an audit file than a file may hold, has somebody else rotate it, and writes on.
 * To be started where the size of files is limited; prints what the log is told.
 *
 * Arguments: the file, the number of lines.
 *
 * @module
 */
import { rename } from "node:fs/promises";
import { openAuditFile } from "../../src/audit/file.ts";

const LINE_BYTES = 100;

const [, , path = "", count] = process.argv;
const told: (() => void)[] = [];
const warn = (message: string) => {
  console.log(message);
  told.shift()?.();
};
const next = () => new Promise<void>((resolve) => told.push(resolve));

const file = openAuditFile({ path: () => path, warn, retryMs: 1 });
const lines = Array.from({ length: Number(count) }, (_, at) => {
  const line = `{"n":${at + 1}}`;
  return `${line.padEnd(LINE_BYTES - 1)}\n`;
});
const failed = next();
file.write(lines.join(""));
await failed;
const mended = next();
await rename(path, `${path}.old`);
await mended;
await file.close();

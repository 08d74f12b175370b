/**
 * The Worker that owns the connection: a commit waits for the disk here, and no request does.
 * One operation at a time, in the order asked.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import type { Answer, Ask } from "./sqlite-messages.ts";
import { type OpenFile, openFile } from "./sqlite-open.ts";
import { type Operations, openOperations } from "./sqlite-operations.ts";

declare const self: Worker;

/** How soon a change by another process is noticed; reading one row costs microseconds. */
const WATCH_MS = 250;

type Opened = { readonly file: OpenFile; readonly operations: Operations };

let opened: Opened | undefined;
let watch: ReturnType<typeof setInterval> | undefined;
let seen: string | undefined;

const answer = (message: Answer) => self.postMessage(message);

function open(path: string): void {
  const file = openFile(path);
  opened = { file, operations: openOperations(path, file) };
  seen = opened.operations.revision();
  watch = setInterval(lookForChange, WATCH_MS);
}

function close(): void {
  clearInterval(watch);
  opened?.file.database.close();
  opened = undefined;
}

function lookForChange(): void {
  try {
    const revision = opened?.operations.revision();
    if (revision === seen) return;
    seen = revision;
    answer({ kind: "changed" });
  } catch (error) {
    // Whoever asks for the revision is told; here the next look comes by itself.
    if (!(error instanceof GateError)) throw error;
  }
}

function perform({ name, args }: Ask): unknown {
  if (name === "open") return open(String(args[0]));
  if (name === "close") return close();
  if (opened === undefined) throw new GateError("store_unavailable", "The store is not open");
  const operation = opened.operations[name] as (...args: readonly unknown[]) => unknown;
  return operation(...args);
}

self.onmessage = ({ data: ask }: MessageEvent<Ask>) => {
  const { id, name } = ask;
  try {
    answer({ kind: "done", id, value: perform(ask) });
  } catch (error) {
    const code = error instanceof GateError ? error.code : "internal_fault";
    const message = error instanceof Error ? error.message : String(error);
    answer({ kind: "failed", id, code, message });
  }
  if (name === "revoke" || name === "unrevoke") lookForChange();
};

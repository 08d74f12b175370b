/**
 * Says how far long work has come: on a terminal in one line that is written over, elsewhere a
 * line now and then.
 *
 * @module
 */
import { isoTime } from "../../audit/entry.ts";

type Stream = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

type Progress = {
  /** @param atMs Of the record that was just read, since 1970. */
  at(decisions: number, atMs: number): void;
  end(): void;
};

/** Shorter work is over before anybody wonders. */
const SILENT_MS = 1_000;
const EVERY_MS = { terminal: 200, elsewhere: 5_000 } as const;
/** Between two looks at the clock. */
const STRIDE = 64;

export function openProgress(stream: Stream): Progress {
  const beganMs = performance.now();
  const everyMs = stream.isTTY ? EVERY_MS.terminal : EVERY_MS.elsewhere;
  let nextMs = beganMs + (stream.isTTY ? SILENT_MS : everyMs);
  let hasWritten = false;
  return {
    at(decisions, atMs) {
      if (decisions % STRIDE !== 0 || performance.now() < nextMs) return;
      nextMs = performance.now() + everyMs;
      const perSecond = Math.round((decisions * 1_000) / (performance.now() - beganMs));
      const back = isoTime(atMs).slice(0, 19);
      const count = decisions.toLocaleString("en");
      const line = `${count} decisions, back to ${back}, ${perSecond.toLocaleString("en")} a second`;
      stream.write(stream.isTTY ? `\r\u001b[K${line}` : `claimgate: ${line}\n`);
      hasWritten = true;
    },
    end() {
      if (hasWritten && stream.isTTY) stream.write("\r\u001b[K");
    },
  };
}

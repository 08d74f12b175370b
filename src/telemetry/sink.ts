/**
 * Writes lines to a descriptor in batches, off the request path and within bounds: a reader
 * that stalls costs lines, counted and told, never memory or a request.
 *
 * @module
 */

export type LineSink = {
  /** @param line Without its line end. */
  write(line: string): void;
  /** Resolves when everything written so far is handed over, or cannot be. */
  flush(): Promise<void>;
};

/** What a sink needs of its target; `Bun.FileSink` has it. */
type Target = { write(chunk: string): unknown; flush(): unknown };

/** A batch leaves after this long at the latest. */
const BATCH_MS = 20;
/** UTF-16 code units kept while the reader is behind. */
const BACKLOG_LIMIT = 8 * 1024 * 1024;

export function openSink(target: Target): LineSink {
  let backlog: string[] = [];
  let size = 0;
  let dropped = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (backlog.length > 0) {
      if (dropped > 0) {
        backlog.push(JSON.stringify({ level: "warn", event: "log_lines_dropped", dropped }));
        dropped = 0;
      }
      const batch = `${backlog.join("\n")}\n`;
      backlog = [];
      size = 0;
      target.write(batch);
      await target.flush();
    }
  }

  function startDraining(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    // A log that cannot be written must not end the gate: a closed pipe loses lines.
    draining ??= drain()
      .catch(() => {
        dropped += backlog.length;
        backlog = [];
        size = 0;
      })
      .finally(() => {
        draining = undefined;
      });
    return draining;
  }

  return {
    write(line) {
      if (size > BACKLOG_LIMIT) {
        dropped += 1;
        return;
      }
      backlog.push(line);
      size += line.length;
      timer ??= setTimeout(startDraining, BATCH_MS);
    },
    flush: startDraining,
  };
}

type Rhythm = {
  readonly firstMs: number;
  /** From one's end to the next. */
  readonly everyMs: number;
  /** Told once for a row of failures. */
  readonly onFault: (why: string) => void;
};

/** Does the work again and again until it is closed; failures end nothing, nor does it keep the process. */
export function repeat(
  work: () => Promise<unknown>,
  { firstMs, everyMs, onFault }: Rhythm,
): { close(): void } {
  let isFailing = false;
  let isClosed = false;
  let timer = setTimeout(once, firstMs);
  timer.unref();

  async function once(): Promise<void> {
    try {
      await work();
      isFailing = false;
    } catch (fault) {
      if (!isFailing && !isClosed) onFault(fault instanceof Error ? fault.message : String(fault));
      isFailing = true;
    }
    if (isClosed) return;
    timer = setTimeout(once, everyMs);
    timer.unref();
  }

  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Bytes that come in pieces, put together as they come: pieces of a few bytes cost no more than
 * their bytes, and hold on to nothing of the chunks they were cut from.
 *
 * @module
 */

type GatheredBytes = {
  readonly size: () => number;
  /** Copies the piece. */
  readonly add: (piece: Buffer) => void;
  /** Hands everything over and begins anew. */
  readonly take: () => Buffer;
};

const NOTHING = Buffer.alloc(0);

/** How many bytes may come is for the caller to bound. */
export function gatherBytes(): GatheredBytes {
  let bytes: Buffer = NOTHING;
  let size = 0;
  return {
    size: () => size,
    add(piece) {
      const end = size + piece.length;
      if (end > bytes.length) {
        const larger = Buffer.allocUnsafe(Math.max(end, 2 * bytes.length));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      piece.copy(bytes, size);
      size = end;
    },
    take() {
      const taken = bytes.subarray(0, size);
      bytes = NOTHING;
      size = 0;
      return taken;
    },
  };
}

/**
 * The few calls of the system's C library that Bun has no word for.
 *
 * @module
 */
import { dlopen, FFIType } from "bun:ffi";

const LIBRARIES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
];

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
} as const;

type Library = ReturnType<typeof dlopen<typeof SYMBOLS>>;

let library: Library | undefined;

/** @throws Error when the system's library has none of the names we know. */
export function openLibc(): Library["symbols"] {
  for (const name of LIBRARIES) {
    try {
      library ??= dlopen(name, SYMBOLS);
    } catch {
      // the other kind of Linux
    }
  }
  if (library === undefined) throw new Error("Cannot open the system's C library");
  return library.symbols;
}

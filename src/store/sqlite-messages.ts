/**
 * What goes between the main thread and the Worker.
 *
 * @module
 */
import type { FaultCode } from "../errors.ts";
import type { Operations } from "./sqlite-operations.ts";

export type Ask = {
  readonly id: number;
  /** `open` comes first, with the file's path; `close` leaves nothing open. */
  readonly name: keyof Operations | "open" | "close";
  readonly args: readonly unknown[];
};

export type Answer =
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly code: FaultCode;
      readonly message: string;
    }
  /** Soon after each change of revocations by anybody. */
  | { readonly kind: "changed" };

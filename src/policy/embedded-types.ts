import { embedTypes } from "./embed-types.ts" with { type: "macro" };

/** What `embedTypes()` packed. In a module of its own, so that only who needs it pays for it. */
export const packedTypes: string = embedTypes();

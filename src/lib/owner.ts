/**
 * Whose files are believed. A mode says who may change a file, not who made it: in a shared
 * folder like /tmp anyone can make `.claimgate` before the gate does.
 *
 * @module
 */

/**
 * @param owner User id of what is to be believed.
 * @param neighbour User id of the configuration's folder: whoever owns that has the last word
 *   anyway, also over a gate that runs as another user.
 * @returns True for our own, the administrator's and the neighbour's, and on Windows, where
 *   there are no user ids.
 */
export function isTrustedOwner(owner: number, neighbour: number): boolean {
  const ours = process.getuid?.();
  return ours === undefined || owner === ours || owner === 0 || owner === neighbour;
}

/** Says something besides the result: on stderr, since results alone are on stdout. */
export function note(message: string): void {
  process.stderr.write(`claimgate: ${message}\n`);
}

import { isAbsolute, relative } from "node:path";

/** A path as the owner would type it: relative to the working directory if it lies in there. */
export function displayPath(file: string): string {
  const short = relative(process.cwd(), file);
  return short === "" || short.startsWith("..") || isAbsolute(short) ? file : short;
}

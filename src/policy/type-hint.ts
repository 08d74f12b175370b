/**
 * What the type checker says of the mistakes that authors of policies make, in words about
 * policies, with what to do.
 *
 * @module
 */

type TypeHint = { readonly message: string; readonly fix?: string };

const VERDICTS = "return allow(…), deny(code, detail) or challenge(…)";
/** The type of an `evaluate` that does not fit, as far as what it returns. */
const RETURNED = /^Type '\(.*\) => (.+)' is not assignable to type '\(input: PolicyInput</;

/**
 * @param code `TS1005`
 * @param message The type checker's.
 * @returns Its message, or a plainer one, with the code.
 */
export function typeHint(code: string, message: string): TypeHint {
  const hint = plain(code, message);
  return { ...hint, message: `${hint.message} (${code})` };
}

function plain(code: string, message: string): TypeHint {
  const returned = code === "TS2322" ? RETURNED.exec(message)?.[1] : undefined;
  if (returned !== undefined) {
    const what = returned.replace(/^Promise<(.+)>$/, "$1");
    const isMixed = /\b(?:PolicyVerdict|Allow|Deny|Challenge)\b/.test(what);
    if (isMixed)
      return { message: "evaluate does not return a verdict on every path", fix: VERDICTS };
    const isTold = !what.includes("...");
    return {
      message: `evaluate returns ${isTold ? `${what}, which` : "what"} is no verdict`,
      fix: VERDICTS,
    };
  }
  const claim = code === "TS18046" ? /^'claims\.(\w+)' is of type/.exec(message)?.[1] : undefined;
  if (claim !== undefined) {
    const fix = `declare it under claims, like ${claim}: Type.String(), or mend its name`;
    return { message: `claims.${claim} is unknown: the policy's claims do not name it`, fix };
  }
  const module = code === "TS2307" ? /^Cannot find module '([^']*)'/.exec(message)?.[1] : undefined;
  if (module !== undefined) {
    return {
      message: `cannot find ${module.startsWith(".") ? "file" : "package"} "${module}"`,
      fix: module.startsWith(".")
        ? "mend the path; helpers are imported with their extension: ./_helper.ts"
        : 'import from "claimgate", from a helper beside the policy, or from node:',
    };
  }
  if (/^TS1\d{3}$/.test(code)) return { message, fix: "mend the syntax" };
  return { message };
}

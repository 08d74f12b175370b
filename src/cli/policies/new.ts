/**
 * `claimgate policies new`: a policy to begin with. It type-checks and lets nobody in; the one
 * case that fails says what is left to do.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GateError } from "../../errors.ts";
import { diskReason } from "../../lib/disk-fault.ts";
import { displayPath } from "../../policy/display-path.ts";
import { shippedPolicies } from "../../policy/shipped.ts";
import { editorConfig, writeTypes } from "../../policy/types-on-disk.ts";
import { policiesIn, refreshSchema } from "../editor-schema.ts";
import { paintFor, visible } from "../paint.ts";
import { programWord } from "../program-word.ts";
import { writeNew } from "../write-new.ts";

/** A part of a name: a folder, or the file. */
const PART = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const PARTS_LIMIT = 8;
/** Words of the configuration's own. */
const RESERVED: ReadonlySet<string> = new Set(["all", "any", "not", "shadow"]);

type Folders = {
  /** Absolute; made where it does not exist. */
  readonly policies: string;
  /** `.claimgate`, absolute. */
  readonly state: string;
};

/**
 * @throws GateError `usage_wrong` for a name that no policy can have; `config_invalid` where it
 *   exists; `state_unusable` from the disk.
 */
export async function newPolicy(name: string, { policies, state }: Folders): Promise<void> {
  const complaint = complaintAbout(name);
  if (complaint !== undefined) throw new GateError("usage_wrong", complaint);
  const file = join(policies, `${name}.ts`);
  const shown = displayPath(file);
  const isNew = await onDisk(shown, async () => {
    await mkdir(dirname(file), { recursive: true });
    return writeNew(file, POLICY);
  });
  if (!isNew) {
    throw new GateError("config_invalid", `${visible(shown)} exists already and is left as it is`);
  }
  await onDisk(shown, async () => {
    await writeTypes(state);
    await writeNew(join(policies, "tsconfig.json"), editorConfig(policies, state));
    await refreshSchema(state, await policiesIn(policies));
  });
  process.stdout.write(nextSteps(name, shown));
}

/** Turns what the file system refuses into a fault that names the policy's file. */
async function onDisk<T>(shown: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof GateError) throw cause;
    const message = `cannot write ${visible(shown)}: ${diskReason(cause)}`;
    throw new GateError("state_unusable", message, { cause });
  }
}

/** @returns Why no policy can be called so. */
function complaintAbout(name: string): string | undefined {
  const shown = visible(name.slice(0, 100));
  if (name.endsWith(".ts")) return `a policy's name has no .ts: write ${shown.slice(0, -3)}`;
  const parts = name.split("/");
  if (parts.some((part) => part.startsWith("_"))) {
    return `files and folders that begin with _ are helpers, no policies: ${shown}`;
  }
  if (parts.length > PARTS_LIMIT || parts.includes("node_modules") || !parts.every(isPart)) {
    return `not a name for a policy: ${shown}; write letters, digits, - and _, with / for folders, for example finance/approver`;
  }
  if (RESERVED.has(name)) return `${name} is a word of the configuration and cannot name a policy`;
  if (shippedPolicies.some((policy) => policy.name === name)) {
    return `${name} comes with claimgate, and a file of that name would replace it: choose another name`;
  }
  return undefined;
}

function isPart(part: string): boolean {
  return PART.test(part);
}

function nextSteps(name: string, shown: string): string {
  const paint = paintFor(process.stdout);
  const program = programWord();
  const steps = [
    [`${program} test ${name}`, "one case fails until the policy is filled in"],
    [`${program} check`, `once a route has it: policies: [${name}]`],
  ] as const;
  const width = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(
    ([command, comment]) => `  ${command.padEnd(width)}  ${paint(`# ${comment}`, "dim")}\n`,
  );
  return `${paint("Written", "bold")}\n  ${visible(shown)}\n\n${paint("Next", "bold")}\n  Say in it who passes, and fill in its cases\n${lines.join("")}`;
}

const POLICY = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "TO FILL IN: what it lets pass, in one line",
  // What the token must have. \`claims\` below is typed by it; a token that does not fit is refused.
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate({ claims }) {
    const mayPass = claims.roles.includes("TO FILL IN");
    return mayPass ? allow() : deny("role_missing", "needs the role TO FILL IN");
  },
  // \`claimgate test\` runs these; a policy whose cases fail is not put in force.
  cases: [
    { name: "TO FILL IN: who passes", claims: { roles: ["staff"] }, expect: "allow" },
    { name: "nobody else does", claims: { roles: [] }, expect: "deny role_missing" },
  ],
});
`;

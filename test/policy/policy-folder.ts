/** Folders of policies for tests, and what policies are asked about. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PolicyRef, YamlPath } from "../../src/config/resolved.ts";
import { compile, type Program } from "../../src/policy/compose.ts";
import type { Question } from "../../src/policy/input.ts";
import { loadPolicies, type PolicySet } from "../../src/policy/load.ts";
import type { Claims } from "../../src/types.ts";

export type PolicyFolder = AsyncDisposable & {
  readonly path: string;
  write(files: Readonly<Record<string, string>>): Promise<void>;
};

export async function policyFolder(
  files: Readonly<Record<string, string>> = {},
): Promise<PolicyFolder> {
  const path = await mkdtemp(join(tmpdir(), "claimgate-policies-"));
  const write = async (more: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(more)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), text);
    }
  };
  await write(files);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A module that is a policy. @param members What `definePolicy` gets besides a description. */
export function policy(members: string, before = ""): string {
  return `import { allow, challenge, definePolicy, deny, inRange, Type } from "claimgate";
${before}
export default definePolicy({ description: "for a test", ${members} });
`;
}

export function ref(name: string, options?: unknown): PolicyRef {
  return { kind: "policy", name, options, path: [] };
}

export function placeOf(path: YamlPath): { file: string; line: number; column: number } {
  return { file: `claimgate.yaml#${path.join("/")}`, line: 1, column: 1 };
}

export function question(claims: Claims = {}, query = ""): Question {
  return {
    token: {
      issuer: "https://issuer.example",
      issuerName: "issuer",
      subject: "alice",
      audience: ["api"],
      id: "token-1",
      issuedAt: 1_767_600_000,
      expiresAt: 1_767_603_600,
      scopes: ["read"],
      claims,
    },
    inquiry: {
      id: "01900000-0000-7000-8000-000000000000",
      method: "POST",
      scheme: "https",
      host: "api.example",
      authority: "api.example:8443",
      path: "/orders/1",
      query,
      headers: new Headers({ "X-Case": "7" }),
      client: {
        ip: "192.0.2.1",
        device: { platform: "linux", browser: "firefox", mobile: false },
      },
      nowMs: 1_767_600_060_000,
    },
    route: "orders",
  };
}

/** @throws If it does not load: with the findings. */
export async function loaded(folder: string): Promise<PolicySet> {
  const set = await loadPolicies(folder);
  if (!set.ok) throw new Error(JSON.stringify(set.error, undefined, 2));
  return set.value;
}

/** @throws If the references do not hold: with the findings. */
export function compiled(set: PolicySet, ...refs: readonly PolicyRef[]): Program {
  const program = compile(refs, set, placeOf);
  if (!program.ok) throw new Error(JSON.stringify(program.error, undefined, 2));
  return program.value;
}

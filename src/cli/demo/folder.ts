/**
 * The demo's folder: a configuration and a policies folder as any owner has them, in a
 * temporary place that goes when the demo ends.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GateError } from "../../errors.ts";
import { STAFF_POLICY } from "../init/starter.ts";

/** What the demo's tokens are for. */
export const DEMO_AUDIENCE = "dev";

export type DemoFolder = Disposable & {
  readonly path: string;
  /** claimgate.yaml */
  readonly config: string;
  readonly policies: string;
  /** `.claimgate`, where the keys of the issuer are. */
  readonly state: string;
};

/** @throws GateError `state_unusable` when there is no place for temporary files. */
export async function makeDemoFolder(): Promise<DemoFolder> {
  const path = await mkdtemp(join(tmpdir(), "claimgate-demo-")).catch(refuse);
  const folder = {
    path,
    config: join(path, "claimgate.yaml"),
    policies: join(path, "policies"),
    state: join(path, ".claimgate"),
    // At once, so that it can be done in the last moment before the process ends.
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
  try {
    await mkdir(folder.policies);
    await writeFile(join(folder.policies, "staff.ts"), STAFF_POLICY);
    return folder;
  } catch (cause) {
    folder[Symbol.dispose]();
    return refuse(cause);
  }
}

function refuse(cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  const message = `cannot write into ${tmpdir()} (${code ?? "failed"}): set TMPDIR to a folder that can be written`;
  throw new GateError("state_unusable", message, { cause });
}

type DemoAddresses = {
  readonly gatePort: number;
  readonly issuerUrl: string;
  readonly upstreamUrl: string;
};

/**
 * @param nowMs Milliseconds since 1970: what the closed hours are reckoned from.
 * @throws GateError `state_unusable` when it cannot be written.
 */
export async function writeDemoConfig(
  folder: DemoFolder,
  addresses: DemoAddresses,
  nowMs: number,
): Promise<void> {
  await writeFile(folder.config, demoConfig(addresses, nowMs), { mode: 0o600 }).catch(refuse);
}

function demoConfig({ gatePort, issuerUrl, upstreamUrl }: DemoAddresses, nowMs: number): string {
  return `# The demo's configuration: a saved change counts within a second, if it holds.

listen: 127.0.0.1:${gatePort}

issuers:
  - name: dev
    issuer: ${issuerUrl}
    audiences: [${DEMO_AUDIENCE}]
    claims: { roles: roles }   # our name: where it is in the token

routes:
  - name: home
    match: { path: /* }
    upstream: ${upstreamUrl}
    policies: [staff]          # policies/staff.ts
    identityHeaders: { X-User: sub, X-Roles: roles }

  - name: books
    match: { path: /books/* }
    upstream: ${upstreamUrl}
    policies:
      - staff
      - office-hours: ${hoursThatAreNotNow(nowMs)}
    identityHeaders: { X-User: sub, X-Roles: roles }

  - name: open
    match: { path: /open/*, methods: [GET] }
    upstream: ${upstreamUrl}
    public: true
`;
}

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

/** One day a week, half a week away: closed now, and for two days to come, in every time zone. */
function hoursThatAreNotNow(nowMs: number): string {
  const day = DAYS[(new Date(nowMs).getUTCDay() + 3) % DAYS.length];
  return `{ timeZone: UTC, days: [${day}], from: "09:00", to: "17:00" }`;
}

/** The gate of that day: its routes and policies, its issuer's keys, and where addresses are. */
import { join } from "node:path";
import { compiledExecutable } from "../../support/executable.ts";
import type { Signer } from "../../support/signer.ts";
import { type SpawnedGate, spawnGate } from "../../support/spawn-gate.ts";
import type { TempFolder } from "../../support/temp-folder.ts";
import type { Clock } from "./clock.ts";
import { AUDIENCE, ISSUER } from "./replay.ts";

/** Machines of tests are busy: a token's past is read from the store once, and that may take its time. */
const configOf = (places: string, keys: string) => `
trustedProxies: [127.0.0.1]
log: { level: warn }
geo: ${places}
issuers:
  - { name: id, issuer: "${ISSUER}", audiences: [${AUDIENCE}], jwks: ${keys} }
routes:
  - { name: assets, match: { path: /assets/* }, upstream: echo, public: true }
  - name: wiki
    match: { path: /wiki/* }
    upstream: echo
    policies: [unusual-activity, require-roles: { anyOf: [staff] }]
  - name: crm
    match: { path: /crm/*, methods: [GET, POST] }
    upstream: echo
    policies: [unusual-activity, require-roles: { anyOf: [staff] }]
  - name: payroll
    match: { path: /payroll/* }
    upstream: echo
    policies:
      - unusual-activity
      - require-roles: { anyOf: [finance] }
      - office-hours: { from: "06:00", to: "20:00" }
  - name: admin
    match: { path: /admin/* }
    upstream: echo
    policies: [unusual-activity, require-roles: { anyOf: [admin] }]
  - name: batch
    match: { path: /batch/* }
    upstream: echo
    policies: [unusual-activity, require-roles: { anyOf: [service] }]
`;

type Parts = {
  /** For what the gate reads and does not write. */
  readonly folder: TempFolder;
  readonly clock: Clock;
  readonly places: Uint8Array;
  readonly signer: Signer;
};

export async function startGate({ folder, clock, places, signer }: Parts): Promise<SpawnedGate> {
  const keys = await folder.write("keys.json", JSON.stringify({ keys: [signer.publicJwk] }));
  const database = join(folder.path, "places.mmdb");
  await Bun.write(database, places);
  return await spawnGate({
    config: configOf(database, keys),
    environment: clock.environment,
    command: [await compiledExecutable()],
  });
}

/** @returns MB: the most that the process has had, and what it has now. */
export async function memoryOf(pid: number): Promise<{ most: number; now: number }> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  const megabytes = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024);
  return { most: megabytes("VmHWM"), now: megabytes("VmRSS") };
}

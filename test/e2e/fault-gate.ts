/**
 * The executable on a store that is about to fail, and questions to ask it meanwhile.
 *
 * @module
 */
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, type Ended, type RunningServe, run, serve, until } from "./claimgate.ts";

/** Long enough for a busy machine to look at the store in time, and for a test to wait for. */
const MAX_STALENESS = "3s";
const CHANGE_LIMIT_MS = 20_000;

const configOf = (store: string, more: string) => `listen: 127.0.0.1:0
store: "${store}"
issuers: [{ name: dev, development: true }]
revocation: { maxStaleness: ${MAX_STALENESS} }
routes:
  - { name: open, match: { path: /open }, upstream: echo, public: true }
  - { name: app, match: { path: /app/* }, upstream: echo, anyAuthenticated: true }
  - name: metered
    match: { path: /metered }
    upstream: echo
    anyAuthenticated: true
    rateLimit: { limit: 3, per: 1h }
${more}`;

export type FaultFolder = TempFolder & {
  serve(): Promise<RunningServe>;
  /** A command, run in the folder. */
  run(...args: string[]): Promise<Ended>;
  token(subject: string): Promise<string>;
};

/** @param store As the configuration names it. @param more More lines of it. */
export async function faultFolder(store: string, more = ""): Promise<FaultFolder> {
  const folder = await tempFolder({
    "claimgate.yaml": configOf(store, more),
    "state/README": "where an SQLite store lies, or a small disk is mounted",
  });
  return {
    ...folder,
    serve: () => serve([], { folder: folder.path }),
    run: (...args) => run(args, { folder: folder.path }),
    token: (subject) => developmentToken(folder.path, "--sub", subject),
  };
}

export type Asked = { readonly id: string; readonly status: number; readonly code?: string };

export async function ask(gate: RunningServe, path: string, token?: string): Promise<Asked> {
  const response = await fetch(`${gate.urls[0]}${path}`, {
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });
  const body = (await response.json()) as { readonly code?: string };
  const id = response.headers.get("x-request-id") ?? "";
  const { status } = response;
  return { id, status, ...(status >= 400 && body.code !== undefined && { code: body.code }) };
}

/** Asks until it is answered so: `200`, or `503 store_unavailable`. @returns All answers. */
export async function askUntil(
  answer: string,
  gate: RunningServe,
  path: string,
  token?: string,
): Promise<readonly Asked[]> {
  const all: Asked[] = [];
  await until(`${answer} on ${path}`, CHANGE_LIMIT_MS, async () => {
    const asked = await ask(gate, path, token);
    all.push(asked);
    return wordsOf(asked) === answer;
  });
  return all;
}

export const wordsOf = ({ status, code }: Asked) => [status, code].filter(Boolean).join(" ");

/** What the gate says of its store. */
export async function storeState(gate: RunningServe): Promise<string> {
  const response = await fetch(`${gate.urls[0]}/.claimgate/ready`);
  const { store } = (await response.json()) as { readonly store: { readonly state: string } };
  return `${response.status} ${store.state}`;
}

/** @throws Error when one of these requests is not in the audit in time, or it does not verify. */
export async function assertRecorded(folder: FaultFolder, asked: readonly Asked[]): Promise<void> {
  await until("every record", CHANGE_LIMIT_MS, async () => {
    const { out } = await folder.run("audit", "--json", "--limit", "1000000");
    return asked.every(({ id }) => out.includes(id));
  });
  const { exitCode, out, err } = await folder.run("audit", "verify");
  if (exitCode !== 0) throw new Error(`The audit does not verify: ${out}${err}`);
}

export const jtiOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).jti;

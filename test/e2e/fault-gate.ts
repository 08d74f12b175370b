/**
 * The executable on a store that is about to fail, and questions to ask it meanwhile.
 *
 * @module
 */
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type Ended, type RunningServe, run, serve, until } from "./claimgate.ts";

/** Long enough for a busy machine to look at the store in time, and for a test to wait for. */
const MAX_STALENESS = "3s";
const CHANGE_LIMIT_MS = 20_000;

const configOf = (store: string) => `listen: 127.0.0.1:0
store: "${store}"
issuers: [{ name: dev, development: true }]
revocation: { maxStaleness: ${MAX_STALENESS} }
audit: { file: audit.jsonl }
routes:
  - { name: open, match: { path: /open }, upstream: echo, public: true }
  - { name: app, match: { path: /app/* }, upstream: echo, anyAuthenticated: true }
  - name: metered
    match: { path: /metered }
    upstream: echo
    anyAuthenticated: true
    rateLimit: { limit: 3, per: 1h }
`;

export type FaultFolder = TempFolder & {
  serve(): Promise<RunningServe>;
  /** A command, run in the folder. */
  run(...args: string[]): Promise<Ended>;
  token(subject: string, ...args: string[]): Promise<string>;
};

/** @param store As the configuration names it. @param environment Of all that runs here. */
export async function faultFolder(
  store: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FaultFolder> {
  const folder = await tempFolder({
    "claimgate.yaml": configOf(store),
    "state/README": "where an SQLite store lies, or a small disk is mounted",
  });
  const options = { folder: folder.path, environment };
  return {
    ...folder,
    serve: () => serve([], options),
    run: (...args) => run(args, options),
    async token(subject, ...args) {
      const { exitCode, out, err } = await run(["token", "--sub", subject, ...args], options);
      if (exitCode !== 0) throw new Error(`Cannot make a token: ${err}`);
      return out.trim();
    },
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

export function claimsOf(token: string): { readonly jti: string; readonly iat: number } {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
}

export const jtiOf = (token: string) => claimsOf(token).jti;

/**
 * Logins that `claimgate login` keeps for one person: a file for each issuer in the folder that
 * their system has for configuration, for its owner alone.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GateError } from "../../errors.ts";

const LoginSchema = Type.Object({
  issuer: Type.String(),
  clientId: Type.String(),
  /** As the provider says it gave them; what was asked for where it says nothing. */
  scopes: Type.Array(Type.String()),
  /** Whom the token may be sent to: `https://api.acme.dev`. */
  origins: Type.Array(Type.String()),
  /** RFC 8707; for a refresh, too. */
  resources: Type.Array(Type.String()),
  subject: Type.Optional(Type.String()),
  /** Of the ID token. */
  claims: Type.Record(Type.String(), Type.Unknown()),
  accessToken: Type.String(),
  refreshToken: Type.Optional(Type.String()),
  /** Milliseconds since 1970; absent where the provider does not say. */
  expiresMs: Type.Optional(Type.Number()),
  signedInMs: Type.Number(),
});

export type KeptLogin = Static<typeof LoginSchema>;

/** Where logins are: XDG_CONFIG_HOME, or what macOS and Windows have instead. */
export function loginFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { XDG_CONFIG_HOME: xdg = "", APPDATA: roaming = "" } = environment;
  // A relative one is to be ignored, says the XDG Base Directory Specification.
  if (isAbsolute(xdg)) return join(xdg, "claimgate", "logins");
  const home = environment.HOME || homedir();
  if (platform === "win32" && roaming !== "") return join(roaming, "claimgate", "logins");
  const base = platform === "darwin" ? "Library/Application Support" : ".config";
  return join(home, base, "claimgate", "logins");
}

/** @returns The latest first; a file that holds no login is none. @throws GateError `state_unusable`. */
export async function readLogins(folder: string): Promise<readonly KeptLogin[]> {
  const names = await readdir(folder).catch((fault: NodeJS.ErrnoException) => {
    if (fault.code === "ENOENT") return [];
    throw unusable("read", folder, fault);
  });
  const found = await Promise.all(
    names.filter((name) => name.endsWith(".json")).map((name) => readLogin(join(folder, name))),
  );
  return found
    .filter((login) => login !== undefined)
    .sort((one, other) => other.signedInMs - one.signedInMs);
}

async function readLogin(file: string): Promise<KeptLogin | undefined> {
  const handle = await open(file, "r").catch((fault: NodeJS.ErrnoException) => {
    if (fault.code === "ENOENT") return undefined;
    throw unusable("read", file, fault);
  });
  if (handle === undefined) return undefined;
  try {
    const { mode } = await handle.stat();
    // Windows keeps access lists, not modes, and shows the same bits for every file.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const message = `${file} is open to other users, who could use its token: run chmod 600 ${file}`;
      throw new GateError("state_unusable", message);
    }
    const content: unknown = JSON.parse(await handle.readFile("utf8"));
    return Value.Check(LoginSchema, content) ? content : undefined;
  } catch (fault) {
    if (fault instanceof SyntaxError) return undefined;
    throw fault;
  } finally {
    await handle.close();
  }
}

/** Written whole or not at all, in place of the issuer's former one. */
export async function keepLogin(folder: string, login: KeptLogin): Promise<void> {
  const file = fileOf(folder, login.issuer);
  const draft = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(login, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (fault) {
    throw unusable("write", file, fault);
  } finally {
    await rm(draft, { force: true });
  }
}

export async function forgetLogin(folder: string, issuer: string): Promise<void> {
  const file = fileOf(folder, issuer);
  await rm(file, { force: true }).catch((fault: unknown) => {
    throw unusable("delete", file, fault);
  });
}

/** Beside the login: one refresh of it at a time. */
export function lockOf(folder: string, issuer: string): string {
  return `${fileOf(folder, issuer)}.lock`;
}

function fileOf(folder: string, issuer: string): string {
  const host = URL.parse(issuer)?.hostname.replace(/[^a-z0-9.-]/g, "") ?? "";
  const digest = createHash("sha256").update(issuer).digest("hex").slice(0, 16);
  return join(folder, `${host}-${digest}.json`);
}

function unusable(what: string, file: string, cause: unknown): GateError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "failed";
  return new GateError("state_unusable", `cannot ${what} ${file}: ${code}`, { cause });
}

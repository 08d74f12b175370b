/**
 * `admin` and `ledger`: who may administer the gate, and how long it remembers tokens.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { readDurationMs } from "./quantity.ts";
import { readSecret } from "./read-files.ts";
import { isLocal, isSame, type Listen, parseListen } from "./read-listen.ts";
import type { Reading } from "./report.ts";
import type { AdminConfig, Config, ListenAddress, StoreConfig } from "./resolved.ts";
import type { FileContent } from "./schema.ts";

const SOCKET = "claimgate.sock";
/** What can stand in `Authorization: Bearer` as it is. */
const TOKEN = /^[\x21-\x7E]{1,1024}$/;

type Around = {
  readonly listens: readonly Listen[];
  readonly store: StoreConfig;
  readonly allowPlainHttp: boolean;
};

export async function readAdmin(
  content: FileContent["admin"],
  around: Around,
  reading: Reading,
): Promise<AdminConfig> {
  const { report, source } = reading;
  const token = await readToken(content?.token, reading);
  const listen = readAddress(content?.listen, around, reading);
  if (listen.kind === "tcp" && !source.has(["admin", "token"])) {
    report.at(["admin", "listen"], {
      code: "admin_token_missing",
      message: "an address that others can connect to needs a token",
      fix: `add token: \${NAME} or file:PATH, for example of openssl rand -base64 32; or listen on unix:PATH`,
    });
  }
  return { listen, ...(token !== undefined && { token }) };
}

export function readLedger(content: FileContent["ledger"], { report }: Reading): Config["ledger"] {
  const bounds = { from: "0s", to: "3650d" };
  return {
    retainMs: readDurationMs(content?.retain, "7d", bounds, ["ledger", "retain"], report),
  };
}

function readAddress(
  written: string | number | undefined,
  { listens, store, allowPlainHttp }: Around,
  reading: Reading,
): ListenAddress {
  const { folder, report, source } = reading;
  const at = ["admin", "listen"];
  const usual = join(
    store.kind === "sqlite" && store.file !== "" ? dirname(store.file) : folder,
    SOCKET,
  );
  const preset: ListenAddress = { kind: "unix", path: usual };
  if (written === undefined) return preset;
  const address = parseListen(String(written), folder);
  if (address === undefined) {
    report.at(at, {
      code: "listen_invalid",
      message: "not an address to listen on",
      fix: "write unix:PATH, or 127.0.0.1:9901 and a token",
    });
    return preset;
  }
  const twin = listens.find((other) => isSame(other.address, address));
  if (twin !== undefined) {
    report.at(at, {
      code: "listen_duplicate",
      message: `the gate itself listens there (line ${source.positionOf(twin.path).line})`,
      fix: "choose another port or path",
    });
  } else if (!isLocal(address) && !allowPlainHttp) {
    report.at(at, {
      code: "listen_plain",
      message: "plain HTTP beyond this machine: anyone on the way could read the token",
      fix: "listen on 127.0.0.1 or unix:PATH; allowPlainHttp: true allows it all the same",
    });
  } else if (address.kind === "unix" && store.kind === "sqlite" && address.path === store.file) {
    report.at(at, { code: "file_taken", message: "that is the store", fix: "choose another path" });
  }
  return address;
}

async function readToken(
  written: string | undefined,
  reading: Reading,
): Promise<string | undefined> {
  const at = ["admin", "token"];
  if (written === undefined) return undefined;
  const token = (await readSecret(written, at, reading))?.trim();
  if (token !== undefined && !TOKEN.test(token)) {
    reading.report.at(at, {
      code: "secret_invalid",
      message: "token: white space within it, or characters outside ASCII, cannot be sent",
      fix: "use one line of letters and digits, for example of openssl rand -base64 32",
    });
  }
  return token;
}

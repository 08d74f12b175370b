/**
 * Asks an upstream for a WebSocket. This goes over `node:http`, not Bun's WebSocket client:
 * that one tells of a refusal only its status, while a client is owed the upstream's own
 * answer, and to ask a second time for it would send the request twice.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { headersOf, openNodeRequest, toResponse } from "./node-request.ts";
import type { Target } from "./upstream.ts";

export type Handshake =
  | {
      readonly kind: "accepted";
      readonly socket: Socket;
      /** Bytes that came right behind the answer. */
      readonly head: Buffer;
      /** Of the 101, without those that only the handshake itself needs. */
      readonly headers: Headers;
      /** Empty where the upstream chose none. */
      readonly protocol: string;
    }
  | { readonly kind: "refused"; readonly response: Response };

/** RFC 6455 §1.3. */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Fields of the client's own handshake with us, which the upstream's replaces. */
const OF_THE_CLIENT = ["sec-websocket-key", "sec-websocket-extensions", "content-length"];

/**
 * @param path With the query.
 * @param headers From `requestHeaders`; the handshake's own fields are put over them.
 * @param signal Ends the attempt.
 * @throws Error with the socket's code when there is no connection, or when what is meant to
 *   be an upgrade does not hold (RFC 6455 §4.1).
 */
export function shakeHands(
  target: Target,
  path: string,
  headers: Headers,
  signal: AbortSignal,
): Promise<Handshake> {
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  const fields = new Headers(headers);
  for (const name of OF_THE_CLIENT) fields.delete(name);
  const offered = fields.get("sec-websocket-protocol");
  fields.set("connection", "Upgrade");
  fields.set("upgrade", "websocket");
  fields.set("sec-websocket-key", key);
  if (!fields.has("sec-websocket-version")) fields.set("sec-websocket-version", "13");

  const { promise, resolve, reject } = Promise.withResolvers<Handshake>();
  const request = openNodeRequest(target, "GET", path, fields, signal);
  request.on("error", reject);
  request.on("response", (answer) => resolve(refusal(answer)));
  request.on("upgrade", (answer, socket, head) =>
    resolve(acceptance(answer, socket as Socket, head, key, offered)),
  );
  request.end();
  return promise;
}

async function refusal(answer: IncomingMessage): Promise<Handshake> {
  return { kind: "refused", response: await toResponse(answer, "GET") };
}

/** @throws Error when what is meant to be an upgrade does not hold; the socket is closed then. */
async function acceptance(
  answer: IncomingMessage,
  socket: Socket,
  head: Buffer,
  key: string,
  offered: string | null,
): Promise<Handshake> {
  try {
    const headers = headersOf(answer);
    const protocol = headers.get("sec-websocket-protocol") ?? "";
    checkAcceptance(headers, key, protocol, offered);
    for (const name of [...headers.keys()]) {
      if (name.startsWith("sec-websocket-")) headers.delete(name);
    }
    return { kind: "accepted", socket, head, headers, protocol };
  } catch (fault) {
    socket.destroy();
    throw fault;
  }
}

/** What a client must check (RFC 6455 §4.1). */
function checkAcceptance(
  headers: Headers,
  key: string,
  protocol: string,
  offered: string | null,
): void {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new Error("the upgrade is to another protocol");
  }
  const expected = new Bun.CryptoHasher("sha1").update(key + KEY_SUFFIX).digest("base64");
  if (headers.get("sec-websocket-accept") !== expected) {
    throw new Error("the upgrade does not fit its key");
  }
  if (headers.has("sec-websocket-extensions")) {
    throw new Error("the upgrade has an extension that was not offered");
  }
  const protocols = (offered ?? "").split(",").map((name) => name.trim());
  if (protocol !== "" && !protocols.includes(protocol)) {
    throw new Error("the upgrade has a subprotocol that was not offered");
  }
}

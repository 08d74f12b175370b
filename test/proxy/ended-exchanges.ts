/**
 * A process that forwards a request for each way an exchange can go and closes what it opened:
 * it ends by itself only if no timer of an exchange is left.
 *
 * @module
 */
import { connect } from "node:net";
import { freePort } from "../support/free-port.ts";
import { rawRequest } from "../support/raw-request.ts";
import { scriptedUpstream, startProxy, until } from "./proxy-fixture.ts";

const LONG_MS = 60_000;

using upstream = scriptedUpstream();
using silent = scriptedUpstream(() => {});
const route = { timeoutMs: LONG_MS };
await using good = startProxy([upstream.origin], { route, maxBodyBytes: 4 });
await using dead = startProxy([`http://127.0.0.1:${freePort()}`], { route });
await using waiting = startProxy([silent.origin], { route });

const get = request("GET");
const tooLarge = request("POST", "/", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
const statuses = [
  await rawRequest(good.port, get),
  await rawRequest(good.port, tooLarge),
  await rawRequest(dead.port, get),
].map(({ status }) => status);

const client = connect(waiting.port, "127.0.0.1");
client.write(get);
await until(() => silent.exchanges.length === 1);
client.destroy();
await until(() => silent.connections.closed === 1);
console.log(...statuses, "gone");

function request(method: string, target = "/", headers = "", body = ""): string {
  return `${method} ${target} HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;
}

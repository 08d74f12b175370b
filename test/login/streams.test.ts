import { expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, openLoginGate } from "./login-gate.ts";
import { startMockProvider } from "./mock-provider.ts";

const LIMIT_MS = 4_000;

/** Sends back what it gets. */
function echoSockets() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, own) => (own.upgrade(request) ? undefined : new Response("hello")),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
}

test("a WebSocket of a session opens, and is closed soon after its person signed out", async () => {
  await using provider = await startMockProvider();
  const upstream = echoSockets();
  await using gate = await openLoginGate({
    port: freePort(),
    config: () => ({
      issuers: [issuerEntry(provider.issuer)],
      routes: [{ upstream: upstream.url.origin, login: true, anyAuthenticated: true }],
    }),
  });
  const browser = openBrowser();
  expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
  const id = browser.cookies.get("localhost")?.get("claimgate");

  const headers = { Cookie: `claimgate=${id}`, Origin: gate.url, Host: new URL(gate.url).host };
  const address = `ws://127.0.0.1:${gate.port}/live`;
  const socket = new WebSocket(address, { headers } as unknown as string[]);
  const echoed = Promise.withResolvers<unknown>();
  const closed = Promise.withResolvers<CloseEvent>();
  socket.onopen = () => socket.send("still here");
  socket.onmessage = ({ data }) => echoed.resolve(data);
  socket.onclose = (event) => closed.resolve(event);
  expect(await Promise.race([echoed.promise, closed.promise])).toBe("still here");

  const out = { method: "POST", headers: { Origin: gate.url } };
  expect((await browser.go(`${gate.url}/.claimgate/logout`, out)).status).toBe(303);
  const event = await Promise.race([closed.promise, Bun.sleep(LIMIT_MS)]);
  expect(event?.code).toBe(1008);
  await upstream.stop(true);
});

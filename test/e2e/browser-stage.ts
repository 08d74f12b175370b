/**
 * What stands behind and beside the gate when a browser goes through it: a page with a WebSocket
 * that knows nothing of signing in, an identity provider, and the gate itself.
 *
 * @module
 */
import { freePort } from "../support/free-port.ts";
import { createSigner } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, serve } from "./claimgate.ts";
import { type ProviderProcess, startProvider } from "./provider-process.ts";

/** Says who the gate says it is, and what came back by the WebSocket. */
const BOARD = (headers: Headers) => `<!doctype html>
<html lang="en">
<title>Board</title>
<h1>Board</h1>
<p id="who">${headers.get("x-user")}</p>
<p id="expires">${headers.get("x-expires")}</p>
<p id="cookie">${headers.get("cookie") ?? "none"}</p>
<p>The other side says: <output id="echo"></output> <output id="ended"></output></p>
<script>
const socket = new WebSocket(location.origin.replace("http", "ws") + "/board/socket");
socket.onopen = () => socket.send("still here");
socket.onmessage = ({ data }) => { echo.textContent = data };
socket.onclose = ({ code }) => { ended.textContent = code };
</script>
`;

export function startBoard(): { readonly origin: string } & AsyncDisposable {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, own) {
      if (own.upgrade(request)) return undefined;
      return new Response(BOARD(request.headers), { headers: { "Content-Type": "text/html" } });
    },
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  return { origin: server.url.origin, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** A page of some other site on this machine. */
export function startSite(html: string): { readonly origin: string } & AsyncDisposable {
  const headers = { "Content-Type": "text/html" };
  const fetch = () => new Response(html, { headers });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  return {
    origin: `http://localhost:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

export type Stage = AsyncDisposable & {
  /** The gate's public origin. */
  readonly url: string;
  readonly provider: ProviderProcess;
  readonly gate: RunningServe;
  readonly folder: TempFolder;
};

type StageOptions = {
  readonly scheme: "http" | "https";
  /** Of the configuration, besides `listen` and `publicUrl`. */
  readonly config: (about: { readonly issuer: string }) => string;
  readonly files?: Readonly<Record<string, string>>;
  /** Ids of the gate's clients at the provider; their secret is always the same. */
  readonly clients: readonly string[];
  readonly ttl?: Readonly<Record<string, number>>;
};

export const CLIENT_SECRET = "for-this-test-only";

const PEOPLE = {
  alice: { roles: ["staff"], name: "Alice" },
  bob: { roles: ["guest"], name: "Bob" },
};

export async function openStage(options: StageOptions): Promise<Stage> {
  const [port, providerPort] = [freePort(), freePort()];
  const url = `${options.scheme}://localhost:${port}`;
  const signer = await createSigner("RS256");
  const provider = await startProvider({
    port: providerPort,
    keys: [signer.privateJwk],
    resources: {},
    signIn: {
      clients: options.clients.map((client_id) => ({
        client_id,
        client_secret: CLIENT_SECRET,
        redirect_uris: [`${url}/.claimgate/callback`],
        post_logout_redirect_uris: [`${url}/.claimgate/signed-out`],
        ...(options.scheme === "http" && {
          backchannel_logout_uri: `http://127.0.0.1:${port}/.claimgate/backchannel-logout`,
          backchannel_logout_session_required: true,
        }),
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      })),
      people: PEOPLE,
      ...(options.ttl !== undefined && { ttl: options.ttl }),
    },
  });
  const folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:${port}
publicUrl: ${url}
${options.config({ issuer: provider.issuer })}`,
    ...options.files,
  });
  const gate = await serve([], { folder: folder.path });
  return {
    url,
    provider,
    gate,
    folder,
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

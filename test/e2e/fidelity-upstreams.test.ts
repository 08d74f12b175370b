/** To upstreams the gate speaks HTTP/1.1, and HTTP/2 where Bun is told to. */
import { expect, test } from "bun:test";
import { createSecureServer } from "node:http2";
import { makeCertificate } from "../support/certificate.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { openStage } from "./fidelity-stage.ts";

const LIMIT_MS = 30_000;
const HTTP2_ALLOWED = { BUN_FEATURE_FLAG_EXPERIMENTAL_HTTP2_CLIENT: "1" };

test.each([
  ["HTTP/1.1 too", true, {}, 200, "1.1"],
  ["HTTP/2 alone", false, {}, 502, undefined],
  ["HTTP/1.1 too, with HTTP/2 allowed", true, HTTP2_ALLOWED, 200, "2.0"],
  ["HTTP/2 alone, with HTTP/2 allowed", false, HTTP2_ALLOWED, 200, "2.0"],
])(
  "an upstream of %s",
  async (_, allowHTTP1, allowed, status, version) => {
    const { cert, key } = makeCertificate();
    await using folder = await tempFolder({ "upstream.pem": cert });
    let spoken: string | undefined;
    const upstream = createSecureServer({ cert, key, allowHTTP1 }, (request, response) => {
      spoken = request.httpVersion;
      response.writeHead(200, { "Content-Type": "a/b" });
      response.end("ok");
    });
    await new Promise<void>((resolve) => upstream.listen(0, "localhost", resolve));
    const address = upstream.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    await using stage = await openStage(`https://localhost:${address.port}`, {
      environment: { ...allowed, NODE_EXTRA_CA_CERTS: `${folder.path}/upstream.pem` },
    });
    const answer = await fetch(`${stage.url}/public/x`);
    expect([answer.status, spoken]).toEqual([status, version]);
    upstream.close();
  },
  LIMIT_MS,
);

/**
 * A real issuer on loopback: discovery and JWKS over HTTP, with counters, and switches for the
 * ways in which issuers fail.
 *
 * @module
 */
import type { JWTPayload } from "jose";
import type { Signer } from "./signer.ts";

export type IssuerFixture = AsyncDisposable & {
  /** What its tokens have as `iss`; the server's origin. */
  readonly issuer: string;
  readonly jwksUri: string;
  readonly requests: { discovery: number; jwks: number };
  /** Published keys; change it to rotate. */
  signers: readonly Signer[];
  /** `undefined` is all well; else what every request is answered with. */
  outage: (() => Response | Promise<Response>) | undefined;
  /** A token that holds: this `iss`, audience "api", subject "alice", five minutes; claims are laid over. */
  token(claims?: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
};

/** @param signers The first signs `token()`. */
export function startIssuer(...signers: readonly [Signer, ...Signer[]]): IssuerFixture {
  const requests = { discovery: 0, jwks: 0 };
  const answer = (body: object) => fixture.outage?.() ?? Response.json(body);
  const discovery = () => {
    requests.discovery++;
    return answer({ issuer: fixture.issuer, jwks_uri: fixture.jwksUri });
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/.well-known/openid-configuration": discovery,
      "/.well-known/oauth-authorization-server": discovery,
      "/jwks": () => {
        requests.jwks++;
        return answer({ keys: fixture.signers.map((signer) => signer.publicJwk) });
      },
    },
    fetch: () => new Response("not here", { status: 404 }),
  });
  const issuer = server.url.origin;
  const fixture: IssuerFixture = {
    issuer,
    jwksUri: `${issuer}/jwks`,
    requests,
    signers,
    outage: undefined,
    async token(claims = {}, header = {}) {
      const now = Math.floor(Date.now() / 1_000);
      const usual = { iss: issuer, aud: "api", sub: "alice", iat: now, exp: now + 300 };
      const [signer] = fixture.signers;
      if (signer === undefined) throw new Error("Cannot sign: the issuer has no key left");
      return signer.sign({ ...usual, ...claims }, header);
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return fixture;
}

import { describe, expect, test } from "bun:test";
import { discoverIssuer } from "../../../src/cli/init/discover.ts";
import { GateError } from "../../../src/errors.ts";

const OPENID = "/.well-known/openid-configuration";

/** A server whose answers are a function of the path; `origin` is given to it. */
function serve(answer: (path: string, origin: string) => Response | Promise<Response>) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => answer(new URL(request.url).pathname, server.url.origin),
  });
  return { origin: server.url.origin, [Symbol.asyncDispose]: () => server.stop(true) };
}

const notFound = () => new Response("no", { status: 404 });

async function faultOf(written: string): Promise<string> {
  const fault = await discoverIssuer(written, fetch).catch((error: unknown) => error);
  if (!(fault instanceof GateError)) throw new Error(`not refused: ${String(fault)}`);
  return `${fault.code}: ${fault.message}`;
}

describe("discoverIssuer()", () => {
  test("takes the issuer exactly as the document has it, with the final slash that was not typed", async () => {
    await using provider = serve((path, origin) =>
      path === OPENID ? Response.json({ issuer: `${origin}/` }) : notFound(),
    );
    const { origin } = provider;
    expect(await discoverIssuer(origin, fetch)).toBe(`${origin}/`);
    expect(await discoverIssuer(`${origin}/`, fetch)).toBe(`${origin}/`);
    expect(await discoverIssuer(`${origin}${OPENID}`, fetch)).toBe(`${origin}/`);
  });

  test("finds a path behind RFC 8414's well-known name where OpenID's is not there", async () => {
    await using provider = serve((path, origin) =>
      path === "/.well-known/oauth-authorization-server/realms/a"
        ? Response.json({ issuer: `${origin}/realms/a` })
        : notFound(),
    );
    const issuer = `${provider.origin}/realms/a`;
    expect(await discoverIssuer(issuer, fetch)).toBe(issuer);
  });

  test("refuses another issuer's document, and names that issuer", async () => {
    await using provider = serve(() =>
      Response.json({ issuer: "https://other.example/\u001b[2J" }),
    );
    const said = await faultOf(provider.origin);
    expect(said).toStartWith("config_invalid: ");
    expect(said).toContain("https://other.example/?[2J");
  });

  test.each([
    ["404", notFound, "answered with status 404"],
    [
      "a redirect",
      () => Response.redirect("http://127.0.0.1:9/", 302),
      "answered with a redirect 302",
    ],
    ["no JSON", () => new Response("<html>"), "something other than JSON"],
    ["no issuer", () => Response.json({}), "names no issuer"],
    ["null", () => Response.json(null), "names no issuer"],
    ["a number for a name", () => Response.json({ issuer: 7 }), "names no issuer"],
    ["too much", () => new Response(" ".repeat(1024 * 1024 + 1)), "more than 1048576 bytes"],
  ])("says what is wrong with an answer: %s", async (_, answer, words) => {
    await using provider = serve(answer);
    const said = await faultOf(provider.origin);
    expect(said).toStartWith("config_invalid: cannot read the issuer's discovery document");
    expect(said).toContain(words);
  });

  test("says that nobody answers, and asks a host that is down only once", async () => {
    const { origin, ...provider } = serve(notFound);
    await provider[Symbol.asyncDispose]();
    const said = await faultOf(origin);
    expect(said).toContain("could not connect");
    expect(said).not.toContain("oauth-authorization-server");
  });

  test.each([
    "id.example.com",
    "ftp://id.example.com",
    "http://id.example.com",
    "https://user:secret@id.example.com",
    "https://id.example.com?x=secret",
    "https://id.example.com#secret",
  ])("refuses %s unread, without repeating it", async (written) => {
    const said = await faultOf(written);
    expect(said).toStartWith("usage_wrong: --issuer ");
    expect(said).not.toContain("secret");
  });
});

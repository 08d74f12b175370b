import { describe, expect, test } from "bun:test";
import { type Connection, readInquiry, type Surroundings } from "../../src/gate/inquire.ts";

const PLAIN: Connection = { address: "198.51.100.7", scheme: "http", trustedOnly: false };
const TRUSTED = new Set(["10.0.0.1", "10.0.0.2", "unix"]);
const SURROUNDINGS: Surroundings = {
  isTrusted: (peer) => TRUSTED.has(peer),
  placeOf: (ip) =>
    ip === "198.51.100.7" ? { country: "FI", location: { latitude: 60.17, longitude: 24.94 } } : {},
};

type Given = {
  target?: string;
  method?: string;
  headers?: [string, string][];
  connection?: Partial<Connection>;
};

/** What Bun makes of a request line and its fields, without a socket. */
function read({ target = "/", method = "GET", headers = [], connection = {} }: Given) {
  const fields = new Headers([["Host", "api.acme.dev"], ...headers]);
  const request = { method, url: `http://api.acme.dev${target}`, headers: fields } as Request;
  return readInquiry(request, { ...PLAIN, ...connection }, SURROUNDINGS, "id-1", 1000);
}

function accepted(given: Given) {
  const found = read(given);
  if (!found.ok) throw new Error(`refused: ${found.error.reason ?? found.error.code}`);
  return found.value;
}

const refused = (given: Given) => {
  const found = read(given);
  return found.ok ? "accepted" : { status: found.error.status, reason: found.error.reason };
};

describe("readInquiry()", () => {
  test("reads host, path, query, client and time once", () => {
    const { inquiry, ambiguousPath } = accepted({ target: "/orders/%31?b=%2f&a=1" });
    expect(inquiry).toMatchObject({
      id: "id-1",
      method: "GET",
      scheme: "http",
      host: "api.acme.dev",
      authority: "api.acme.dev",
      path: "/orders/1",
      query: "?b=%2f&a=1",
      nowMs: 1000,
    });
    expect(ambiguousPath).toBe(false);
    expect(inquiry.client.ip).toBe("198.51.100.7");
    expect(inquiry.client.country).toBe("FI");
    expect(inquiry.client.location).toEqual({ latitude: 60.17, longitude: 24.94 });
    expect(inquiry.client.device).toMatchObject({ mobile: false });
  });

  test.each(["TRACE", "CONNECT"])("%s is 501", (method) => {
    expect(refused({ method })).toMatchObject({ status: 501 });
  });

  test("a host is read without case, port and trailing dot, and kept as it came", () => {
    const request = {
      method: "GET",
      url: "http://x/",
      headers: new Headers({ host: "API.Acme.dev.:8443" }),
    };
    const found = readInquiry(request as Request, PLAIN, SURROUNDINGS, "id", 0);
    expect(found).toMatchObject({
      ok: true,
      value: { inquiry: { host: "api.acme.dev", authority: "API.Acme.dev.:8443" } },
    });
  });

  test.each(["", "a, b", "a@b", "a/b", "a?b", "a b", "a:b", "[::1", "a:123456", "\u00e4.dev"])(
    "the host %j is malformed",
    (host) => {
      const request = { method: "GET", url: "http://x/", headers: new Headers({ host }) };
      const found = readInquiry(request as Request, PLAIN, SURROUNDINGS, "id", 0);
      expect(found).toMatchObject({ ok: false, error: { status: 400, reason: "host_invalid" } });
    },
  );

  test("a target without a path, or with a fragment, is malformed", () => {
    const relative = { method: "GET", url: "/p", headers: new Headers({ host: "x" }) };
    const found = readInquiry(relative as Request, PLAIN, SURROUNDINGS, "id", 0);
    expect(found).toMatchObject({ ok: false, error: { status: 400, reason: "target_invalid" } });
    expect(refused({ target: "/a#b" })).toEqual({ status: 400, reason: "fragment" });
    expect(refused({ target: "/a?b#c" })).toEqual({ status: 400, reason: "fragment" });
  });

  test("sizes are bounded: 414 for the target, 431 for the fields", () => {
    expect(accepted({ target: `/${"a".repeat(8191)}` }).inquiry.path).toHaveLength(8192);
    expect(refused({ target: `/${"a".repeat(8192)}` })).toMatchObject({ status: 414 });
    expect(refused({ headers: [["X", "a".repeat(33 * 1024)]] })).toMatchObject({ status: 431 });
    const many = Array.from({ length: 201 }, (_, at): [string, string] => [`X-${at}`, ""]);
    expect(refused({ headers: many })).toMatchObject({ status: 431 });
  });
});

describe("readInquiry(): what stands before the client", () => {
  test("a peer without an address is nobody: no rule about networks could hold for it", () => {
    const connection = { address: "unknown" };
    expect(refused({ connection })).toEqual({ status: 400, reason: "peer_gone" });
  });

  test("a link-local peer is its address, whatever interface it is on", () => {
    const { inquiry } = accepted({ connection: { address: "fe80::7%eth0" } });
    expect(inquiry.client.ip).toBe("fe80::7");
  });

  const from = (address: string | null, ...headers: [string, string][]) => ({
    connection: { address },
    headers,
  });
  const FOR = "X-Forwarded-For";

  test("from a peer that is not trusted no forwarded header counts", () => {
    const { inquiry, forwardedFor } = accepted(
      from("198.51.100.7", [FOR, "1.1.1.1"], ["X-Forwarded-Proto", "https"]),
    );
    expect(inquiry.client.ip).toBe("198.51.100.7");
    expect(inquiry.scheme).toBe("http");
    expect(forwardedFor).toBe("198.51.100.7");
  });

  test.each([
    ["203.0.113.9", "203.0.113.9", "203.0.113.9, 10.0.0.1"],
    ["9.9.9.9, 203.0.113.9", "203.0.113.9", "203.0.113.9, 10.0.0.1"],
    ["garbage, 203.0.113.9, 10.0.0.2", "203.0.113.9", "203.0.113.9, 10.0.0.2, 10.0.0.1"],
    ["10.0.0.2", "10.0.0.2", "10.0.0.2, 10.0.0.1"],
    ["203.0.113.9:4711", "203.0.113.9", "203.0.113.9, 10.0.0.1"],
    ["[2001:DB8::1]:443", "2001:db8::1", "2001:db8::1, 10.0.0.1"],
    ["::ffff:203.0.113.9", "203.0.113.9", "203.0.113.9, 10.0.0.1"],
  ])("%j from a trusted peer", (value, ip, chain) => {
    const { inquiry, forwardedFor } = accepted(from("10.0.0.1", [FOR, value]));
    expect(inquiry.client.ip).toBe(ip);
    expect(forwardedFor).toBe(chain);
  });

  test("a trusted peer that says nothing is the client", () => {
    expect(accepted(from("::ffff:10.0.0.1")).inquiry.client.ip).toBe("10.0.0.1");
    expect(accepted(from(null)).inquiry.client.ip).toBe("unix");
  });

  test.each([
    "garbage",
    "",
    "203.0.113.9, garbage",
    "203.0.113.9,",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.4.5",
  ])("%j from a trusted peer is malformed", (value) => {
    const denial = { status: 400, reason: "forwarded_for_invalid" };
    expect(refused(from("10.0.0.1", [FOR, value]))).toEqual(denial);
  });

  test("a chain longer than any real one is malformed", () => {
    const denial = { status: 400, reason: "forwarded_for_too_long" };
    expect(refused(from("10.0.0.1", [FOR, "10.0.0.2,".repeat(40)]))).toEqual(denial);
  });

  test("X-Forwarded-Proto of a trusted peer is http or https, nothing else", () => {
    const PROTO = "X-Forwarded-Proto";
    expect(accepted(from("10.0.0.1", [PROTO, "HTTPS"])).inquiry.scheme).toBe("https");
    for (const value of ["ftp", "", "https, http"]) {
      const denial = { status: 400, reason: "forwarded_proto_invalid" };
      expect(refused(from("10.0.0.1", [PROTO, value]))).toEqual(denial);
    }
  });

  test("a listener opened for trusted proxies serves nobody else", () => {
    const connection = { trustedOnly: true };
    expect(refused({ connection })).toEqual({ status: 400, reason: "peer_not_trusted" });
    expect(accepted({ connection: { ...connection, address: "10.0.0.1" } })).toBeDefined();
  });
});

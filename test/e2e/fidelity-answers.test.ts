/** Answers reach the client as the upstream gave them, and what is lost is known. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { scriptedUpstream } from "../proxy/proxy-fixture.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { rawRequest } from "../support/raw-request.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { until } from "./claimgate.ts";
import { openStage, type Stage } from "./fidelity-stage.ts";

const START_LIMIT_MS = 30_000;
const PAST = "Wed, 21 Oct 2015 07:28:00 GMT";

describe("an answer of an upstream's, byte for byte", () => {
  let upstream: ReturnType<typeof scriptedUpstream>;
  let stage: Stage;
  let answer = "";
  let seen = "";

  beforeAll(async () => {
    upstream = scriptedUpstream(({ request }, { send }) => {
      seen = request;
      send(answer);
    });
    stage = await openStage(upstream.origin);
  }, START_LIMIT_MS);
  afterEach(() => {
    answer = "";
    seen = "";
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
    upstream?.[Symbol.dispose]();
  });

  async function ask(bytes: string, { method = "GET", more = "", body = "" } = {}) {
    answer = bytes;
    const head = `${method} /x HTTP/1.1\r\nHost: gate.dev\r\nAuthorization: Bearer ${stage.token}\r\n`;
    return await rawRequest(stage.port, `${head}${more}\r\n${body}`);
  }
  const withBody = (fields: string, body: string) =>
    `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

  /** The final answer's fields, as they stand, but for the gate's own and the clock. */
  function fieldsOf(raw: string): string[] {
    const head = raw.slice(0, raw.indexOf("\r\n\r\n"));
    const OWN = /^(?:date|x-request-id|connection|keep-alive):/i;
    return head
      .split("\r\n")
      .slice(1)
      .filter((line) => !OWN.test(line))
      .map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()))
      .sort();
  }

  const TEXT = "Every coding as it came. ".repeat(40);
  test.each([
    ["gzip", gzipSync(TEXT)],
    ["br", brotliCompressSync(TEXT)],
    ["zstd", zstdCompressSync(TEXT)],
    // Not what it says it is: nobody has looked.
    ["gzip", Buffer.from("no gzip at all")],
    ["x-unknown", Buffer.from([0, 255, 13, 10, 128])],
  ])("%s is not looked into", async (coding, bytes) => {
    const body = bytes.toString("latin1");
    const fields = `Content-Type: text/plain\r\nContent-Encoding: ${coding}\r\nVary: Accept-Encoding\r\n`;
    const more = "Accept-Encoding: zstd, br;q=0.5\r\n";
    const got = await ask(withBody(fields, body), { more });
    expect(got.body === body).toBe(true);
    expect(got.headers).toMatchObject({ "content-encoding": coding, vary: "Accept-Encoding" });
    expect(got.headers["content-length"]).toBe(String(body.length));
    expect(seen).toMatch(/^accept-encoding: zstd, br;q=0\.5\r$/im);
  });

  test("a client that asks for no coding is given none in its name", async () => {
    await ask(withBody("Content-Type: a/b\r\n", "ok"));
    expect(seen).not.toMatch(/^accept-encoding: \S/im);
  });

  test("several cookies stay several, in their order, whatever is in them", async () => {
    const cookies = [
      "a=1; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Path=/",
      "b=2; HttpOnly; Secure; SameSite=None; Partitioned",
      'a=3, with "commas"; Path=/deep',
    ];
    const fields = cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("");
    const { raw } = await ask(withBody(`Content-Type: a/b\r\n${fields}`, "ok"));
    const got = [...raw.matchAll(/^set-cookie: (.*)\r$/gim)].map(([, cookie]) => cookie);
    expect(got).toEqual(cookies);
  });

  test.each([
    ["301", "/elsewhere?a=b#c"],
    ["302", "http://127.0.0.1:1/internal"],
    ["303", "relative/path"],
    ["307", "//other.dev/"],
    ["308", "HTTPS://Other.dev:443/%7e"],
  ])("%s to %s", async (status, location) => {
    const head = `HTTP/1.1 ${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
    const got = await ask(head);
    expect([got.status, got.headers.location]).toEqual([Number(status), location]);
  });

  test("204, 304 and HEAD have no body, and keep every field", async () => {
    const fields =
      'ETag: W/"1"\r\nCache-Control: max-age=60\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n';
    const WRITTEN = ["cache-control: max-age=60", 'etag: W/"1"', `last-modified: ${PAST}`];
    const none = await ask(`HTTP/1.1 204 No Content\r\n${fields}\r\n`);
    expect(fieldsOf(none.raw)).toEqual(WRITTEN);
    expect(none.raw).toStartWith("HTTP/1.1 204 No Content\r\n");
    expect(none.raw).toEndWith("\r\n\r\n");

    const same = await ask(`HTTP/1.1 304 Not Modified\r\n${fields}\r\n`, {
      more: 'If-None-Match: W/"1"\r\n',
    });
    expect(fieldsOf(same.raw)).toEqual(WRITTEN);
    expect(same.raw).toStartWith("HTTP/1.1 304 Not Modified\r\n");
    expect(seen).toMatch(/^if-none-match: W\/"1"\r$/im);

    const more =
      "Content-Type: video/mp4\r\nContent-Length: 5000000000\r\nAccept-Ranges: bytes\r\n";
    const got = await ask(`HTTP/1.1 200 OK\r\n${more}\r\n`, { method: "HEAD" });
    expect(fieldsOf(got.raw)).toEqual([
      "accept-ranges: bytes",
      "content-length: 5000000000",
      "content-type: video/mp4",
    ]);
    expect(got.raw).toEndWith("\r\n\r\n");
  });

  test("Expect: 100-continue is answered by the gate, and its body arrives", async () => {
    const body = "the body behind it";
    const more = `Expect: 100-continue\r\nContent-Length: ${body.length}\r\n`;
    const got = await ask(withBody("Content-Type: a/b\r\n", "ok"), { method: "PUT", more, body });
    expect(got.raw).toStartWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    expect(seen).toEndWith(body);
    expect(seen).not.toMatch(/^expect:/im);
  });

  test("a request that is refused is not asked to go on", async () => {
    const line = "PUT /x HTTP/1.1\r\nHost: gate.dev\r\nExpect: 100-continue\r\n";
    const got = await rawRequest(stage.port, `${line}Content-Length: 5\r\n\r\n`);
    expect(got.status).toBe(401);
  });

  describe("what is lost, and never mangled:", () => {
    test("hints (1xx)", async () => {
      const hints =
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" +
        "HTTP/1.1 102 Processing\r\n\r\n";
      const got = await ask(hints + withBody("Content-Type: a/b\r\n", "ok"));
      expect(got.raw).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(fieldsOf(got.raw)).toEqual(["content-length: 2", "content-type: a/b"]);
      expect(got.body).toBe("ok");
    });

    test("trailers, of the answer", async () => {
      const chunks = "2\r\nok\r\n0\r\nX-Checksum: 1\r\nX-Request-Id: theirs\r\n\r\n";
      const fields = "Content-Type: a/b\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n";
      const got = await ask(`HTTP/1.1 200 OK\r\n${fields}\r\n${chunks}`);
      expect(got.body).toBe("ok");
      expect(got.raw).not.toMatch(/x-checksum|trailer|theirs/i);
    });

    test("trailers, of the request: it is refused", async () => {
      const more = "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n";
      const body = "2\r\nhi\r\n0\r\nX-Checksum: 1\r\nX-User: root\r\n\r\n";
      const got = await ask(withBody("Content-Type: a/b\r\n", "ok"), {
        method: "POST",
        more,
        body,
      });
      expect(got.status).toBe(400);
      expect(seen).not.toMatch(/x-checksum|x-user/i);
    });

    test("the reason behind a status", async () => {
      const got = await ask("HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n");
      expect(got.raw).toStartWith("HTTP/1.1 404 Not Found\r\n");
    });
  });
});

describeWith("nginx", "files of a web server", () => {
  const port = freePort();
  const LONG = 3_000_000;
  let files: TempFolder;
  let nginx: Bun.Subprocess;
  let stage: Stage;
  let direct: string;

  beforeAll(async () => {
    const short = Array.from({ length: 5_000 }, (_, at) => String.fromCharCode(32 + (at % 90)));
    files = await tempFolder({
      "www/public/short.txt": short.join(""),
      "www/public/middle.txt": short.join("").repeat(40),
      "www/public/long.bin": "long ".repeat(LONG / 5),
      "nginx.conf": `daemon off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off; default_type application/octet-stream; types { text/plain txt; }
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server { listen 127.0.0.1:${port}; root www; }
}
`,
    });
    const asRoot = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
    const program = findProgram("nginx") ?? "nginx";
    nginx = Bun.spawn([program, "-p", ".", "-e", "stderr", "-c", "nginx.conf", ...asRoot], {
      cwd: files.path,
      stdio: ["ignore", "ignore", "ignore"],
    });
    direct = `http://127.0.0.1:${port}`;
    await until("nginx", START_LIMIT_MS, () =>
      fetch(direct).then(
        () => true,
        () => false,
      ),
    );
    stage = await openStage(direct);
  }, START_LIMIT_MS);
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
    nginx?.kill();
    await files?.[Symbol.asyncDispose]();
  });

  /** Status, fields that a browser or a cache looks at, and body. */
  async function look(
    origin: string,
    path: string,
    headers: Record<string, string>,
    method = "GET",
  ) {
    const answer = await fetch(origin + path, { method, headers, decompress: false });
    const names = ["accept-ranges", "content-range", "content-type", "etag", "last-modified"];
    return {
      status: answer.status,
      fields: names.map((name) => [name, answer.headers.get(name)?.replace(/boundary=.*/, "…")]),
      body: (await answer.text()).replaceAll(/^--\d+/gm, "--"),
      length: answer.headers.get("content-length"),
    };
  }

  const REQUESTS: [string, string, Record<string, string>][] = [
    ["a file", "/public/short.txt", {}],
    ["a file of 200 KB", "/public/middle.txt", {}],
    ["a part", "/public/short.txt", { Range: "bytes=10-19" }],
    ["a part of 150 KB", "/public/middle.txt", { Range: "bytes=1000-150999" }],
    ["its end", "/public/short.txt", { Range: "bytes=-5" }],
    ["a part of a long one", "/public/long.bin", { Range: "bytes=2999990-" }],
    ["what lies beyond it", "/public/short.txt", { Range: "bytes=9999-" }],
    [
      "a part with an outdated If-Range",
      "/public/short.txt",
      { Range: "bytes=1-2", "If-Range": PAST },
    ],
    ["modified since", "/public/short.txt", { "If-Modified-Since": PAST }],
    ["unmodified since", "/public/short.txt", { "If-Unmodified-Since": PAST }],
    ["nothing there", "/public/none", {}],
  ];
  test.each(REQUESTS)("%s", async (_, path, headers) => {
    const there = await look(direct, path, headers);
    expect(await look(stage.url, path, headers)).toEqual(there);
  });

  test("the head of a long one keeps its length", async () => {
    const there = await look(direct, "/public/long.bin", {}, "HEAD");
    expect(there.length).toBe(String(LONG));
    expect(await look(stage.url, "/public/long.bin", {}, "HEAD")).toEqual(there);
  });

  test("several parts", async () => {
    const headers = { Range: "bytes=0-1,10-12" };
    // Which comes in pieces: a short answer like that may lose its length.
    const { length: _, ...there } = await look(direct, "/public/short.txt", headers);
    expect(there.status).toBe(206);
    expect(await look(stage.url, "/public/short.txt", headers)).toMatchObject(there);
  });

  test("what the client has already is 304", async () => {
    const { headers } = await fetch(`${direct}/public/short.txt`);
    const conditions = [
      { "If-None-Match": headers.get("etag") ?? "" },
      { "If-Modified-Since": headers.get("last-modified") ?? "" },
    ];
    for (const condition of conditions) {
      const there = await look(direct, "/public/short.txt", condition);
      expect(there.status).toBe(304);
      expect(await look(stage.url, "/public/short.txt", condition)).toEqual(there);
    }
  });

  test("a long file loses its length, and nothing else", async () => {
    const there = await look(direct, "/public/long.bin", {});
    expect(there.length).toBe(String(LONG));
    expect(await look(stage.url, "/public/long.bin", {})).toEqual({ ...there, length: null });
  });
});

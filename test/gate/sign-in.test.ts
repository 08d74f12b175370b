import { describe, expect, test } from "bun:test";
import { isBrowser } from "../../src/gate/sign-in.ts";

const asks = (method: string, headers: Record<string, string>) =>
  isBrowser({ method, headers: new Headers(headers) });

const CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

describe("isBrowser()", () => {
  test.each([
    ["GET", { accept: CHROME, "sec-fetch-mode": "navigate" }],
    ["HEAD", { accept: CHROME }],
    ["GET", { accept: "text/html" }],
    ["GET", { accept: "application/json, TEXT/HTML;q=0.1" }],
  ] as [string, Record<string, string>][])("%s with %o is one", (method, headers) => {
    expect(asks(method, headers)).toBe(true);
  });

  test.each([
    ["POST", { accept: CHROME, "sec-fetch-mode": "navigate" }],
    ["OPTIONS", { accept: CHROME }],
    ["GET", {}],
    ["GET", { accept: "*/*" }],
    ["GET", { accept: "text/*" }],
    ["GET", { accept: "text/html;q=0" }],
    ["GET", { accept: "text/html; q=0.000" }],
    ["GET", { accept: "text/htmlx" }],
    ["GET", { accept: CHROME, "sec-fetch-mode": "cors" }],
    ["GET", { accept: CHROME, "sec-fetch-mode": "no-cors" }],
    ["GET", { accept: CHROME, "sec-fetch-mode": "websocket" }],
    ["GET", { accept: CHROME, "sec-fetch-mode": "" }],
  ] as [string, Record<string, string>][])("%s with %o is none", (method, headers) => {
    expect(asks(method, headers)).toBe(false);
  });
});

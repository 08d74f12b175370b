import { describe, expect, test } from "bun:test";
import { readDevice } from "../../src/lib/device.ts";

/** Whole user agents as these programs send them. */
const USER_AGENTS: readonly (readonly [string, string, string, boolean])[] = [
  [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "windows",
    "chrome",
    false,
  ],
  [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "windows",
    "edge",
    false,
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "macos",
    "safari",
    false,
  ],
  [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "linux",
    "firefox",
    false,
  ],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "ios",
    "safari",
    true,
  ],
  [
    "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 Mobile/15E148 Safari/604.1",
    "ios",
    "chrome",
    true,
  ],
  [
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "android",
    "chrome",
    true,
  ],
  [
    "Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    "android",
    "samsung",
    true,
  ],
  [
    "Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0",
    "android",
    "firefox",
    false,
  ],
  [
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "chromeos",
    "chrome",
    false,
  ],
  [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 OPR/123.0.0.0",
    "windows",
    "opera",
    false,
  ],
  ["curl/8.14.1", "unknown", "curl", false],
  ["Wget/1.25.0", "unknown", "wget", false],
  ["python-requests/2.32.4", "unknown", "python", false],
  ["Go-http-client/1.1", "unknown", "go", false],
  ["PostmanRuntime/7.44.1", "unknown", "postman", false],
  ["", "unknown", "unknown", false],
  ["not curl/8 at all", "unknown", "unknown", false],
];

describe("readDevice()", () => {
  test.each(USER_AGENTS)("%s", (userAgent, platform, browser, mobile) => {
    const headers = new Headers({ "User-Agent": userAgent });
    expect(readDevice(headers)).toEqual({ platform, browser, mobile });
  });

  test("knows nothing of a client that says nothing", () => {
    expect(readDevice(new Headers())).toEqual({
      platform: "unknown",
      browser: "unknown",
      mobile: false,
    });
  });

  test.each([
    ['"Windows"', "windows"],
    ['"macOS"', "macos"],
    ['"Linux"', "linux"],
    ['"Android"', "android"],
    ['"iOS"', "ios"],
    ['"Chrome OS"', "chromeos"],
    ['"Chromium OS"', "chromeos"],
  ])("a platform's hint %s goes before the user agent", (hint, platform) => {
    const headers = new Headers({ "Sec-CH-UA-Platform": hint, "User-Agent": "(X11; OpenBSD)" });
    expect(readDevice(headers).platform).toBe(platform);
  });

  test.each([
    ['"Not)A;Brand";v="8", "Chromium";v="140", "Google Chrome";v="140"', "chrome"],
    ['"Not)A;Brand";v="8", "Chromium";v="140", "Microsoft Edge";v="140"', "edge"],
    ['"Chromium";v="139", "Opera";v="123", "Not)A;Brand";v="8"', "opera"],
    ['"Not)A;Brand";v="8", "Chromium";v="140"', "chrome"],
  ])("a browser's hint %s goes before the user agent", (hint, browser) => {
    const headers = new Headers({ "Sec-CH-UA": hint, "User-Agent": "curl/8.0" });
    expect(readDevice(headers).browser).toBe(browser);
  });

  test("the mobile hint goes before the user agent", () => {
    const phone = USER_AGENTS[6]?.[0] ?? "";
    const read = (hint: string) =>
      readDevice(new Headers({ "Sec-CH-UA-Mobile": hint, "User-Agent": phone })).mobile;
    expect(read("?0")).toBe(false);
    expect(read("?1")).toBe(true);
    expect(read("maybe")).toBe(true);
  });

  test("hints that nobody knows fall back on the user agent", () => {
    const headers = new Headers({
      "Sec-CH-UA-Platform": '"constructor"',
      "Sec-CH-UA": '"Nobody";v="1"',
      "User-Agent": USER_AGENTS[2]?.[0] ?? "",
    });
    expect(readDevice(headers)).toEqual({ platform: "macos", browser: "safari", mobile: false });
  });

  test("reads only the beginning of a user agent that is too long", () => {
    const headers = new Headers({
      "User-Agent": `${"x".repeat(512)} Firefox/140.0 Windows Mobile`,
    });
    expect(readDevice(headers)).toEqual({
      platform: "unknown",
      browser: "unknown",
      mobile: false,
    });
  });
});

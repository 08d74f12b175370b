/**
 * What a client says of itself: by client hints, or else by its user agent. Anyone can
 * say anything here; it is a convenience, not a proof. Pure.
 *
 * @see https://wicg.github.io/ua-client-hints/
 * @module
 */
/** The nouns' `Device`; lib knows nothing above it. */
type Device = { readonly platform: string; readonly browser: string; readonly mobile: boolean };

/** A user agent longer than this is read up to here. */
const LENGTH_LIMIT = 512;

/** The first that fits wins: later ones are named within the user agents of earlier ones. */
const BROWSERS: readonly (readonly [name: string, inUserAgent: RegExp])[] = [
  ["edge", /\bEdg(?:e|A|iOS)?\//],
  ["opera", /\b(?:OPR|OPT|OPiOS|Opera)\//],
  ["samsung", /\bSamsungBrowser\//],
  ["firefox", /\b(?:Firefox|FxiOS)\//],
  ["chrome", /\b(?:Chrome|CriOS|Chromium)\//],
  ["safari", /\bVersion\/.*\bSafari\//],
  ["curl", /^curl\//],
  ["wget", /^Wget\//],
  ["httpie", /^HTTPie\//],
  ["postman", /^PostmanRuntime\//],
  ["python", /^(?:python-|Python-|Python\/|aiohttp\/)/],
  ["go", /^Go-http-client\//],
  ["java", /^(?:Java\/|Apache-HttpClient\/|okhttp\/)/],
  ["node", /^(?:node|undici|axios\/|Bun\/)/],
];

const PLATFORMS: readonly (readonly [name: string, inUserAgent: RegExp])[] = [
  ["windows", /\bWindows\b/],
  ["ios", /\b(?:iPhone|iPad|iPod)\b/],
  ["android", /\bAndroid\b/],
  ["chromeos", /\bCrOS\b/],
  ["macos", /\b(?:Macintosh|Mac OS X)\b/],
  ["linux", /\b(?:Linux|X11)\b/],
];

/** `Sec-CH-UA-Platform` as browsers send it. */
const HINTED_PLATFORMS: Readonly<Record<string, string>> = {
  windows: "windows",
  macos: "macos",
  linux: "linux",
  android: "android",
  ios: "ios",
  "chrome os": "chromeos",
  chromeos: "chromeos",
  "chromium os": "chromeos",
};

/** Brands in `Sec-CH-UA`, the most particular first: all of them name Chromium too. */
const HINTED_BRANDS: readonly (readonly [name: string, brand: string])[] = [
  ["edge", '"Microsoft Edge"'],
  ["opera", '"Opera"'],
  ["samsung", '"Samsung Internet"'],
  ["chrome", '"Google Chrome"'],
  ["chrome", '"Chromium"'],
];

/** @returns "unknown" for what cannot be told. */
export function readDevice(headers: Headers): Device {
  const userAgent = (headers.get("user-agent") ?? "").slice(0, LENGTH_LIMIT);
  const platform = hintedPlatform(headers) ?? firstNamed(PLATFORMS, userAgent);
  return {
    platform,
    browser: hintedBrowser(headers) ?? firstNamed(BROWSERS, userAgent),
    mobile: hintedMobile(headers) ?? isMobile(userAgent, platform),
  };
}

function hintedPlatform(headers: Headers): string | undefined {
  const hint = headers.get("sec-ch-ua-platform");
  if (hint === null || hint.length > LENGTH_LIMIT) return undefined;
  const name = hint.replaceAll('"', "").trim().toLowerCase();
  return Object.hasOwn(HINTED_PLATFORMS, name) ? HINTED_PLATFORMS[name] : undefined;
}

function hintedBrowser(headers: Headers): string | undefined {
  const hint = headers.get("sec-ch-ua")?.slice(0, LENGTH_LIMIT);
  if (hint === undefined) return undefined;
  return HINTED_BRANDS.find(([, brand]) => hint.includes(brand))?.[0];
}

function hintedMobile(headers: Headers): boolean | undefined {
  const hint = headers.get("sec-ch-ua-mobile");
  return hint === "?1" ? true : hint === "?0" ? false : undefined;
}

function isMobile(userAgent: string, platform: string): boolean {
  if (platform === "ios") return true;
  return /\bMobi(?:le)?\b/.test(userAgent);
}

function firstNamed(
  table: readonly (readonly [name: string, inUserAgent: RegExp])[],
  userAgent: string,
): string {
  return table.find(([, inUserAgent]) => inUserAgent.test(userAgent))?.[0] ?? "unknown";
}

import { allow, claimAt, definePolicy, deny, Type } from "claimgate";

const names = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }));

/**
 * Lets callers pass by their device. What a client says of itself (client hints, user agent)
 * keeps honest people off the wrong device and stops nobody else; what an issuer says in a
 * claim can be relied on: `claim` names it, and `claimIn` the values that pass.
 *
 * Platforms: windows, macos, linux, android, ios, chromeos, unknown.
 * Browsers: chrome, edge, firefox, safari, opera, samsung, curl, wget, … or unknown.
 */
export default definePolicy({
  description: "Lets callers with the given devices pass",
  options: Type.Object(
    {
      platforms: names("Platforms that pass, like macos"),
      browsers: names("Browsers that pass, like firefox"),
      mobile: Type.Optional(
        Type.Boolean({ description: "true: only mobile devices pass; false: only others" }),
      ),
      claim: Type.Optional(
        Type.String({
          minLength: 1,
          description: "A claim about the device, like device.posture, that must be there",
        }),
      ),
      claimIn: Type.Optional(
        Type.Array(Type.Union([Type.String(), Type.Boolean()]), {
          minItems: 1,
          description: "Values of that claim that pass; without it, true and any text do",
        }),
      ),
    },
    { minProperties: 1, description: "Say which devices pass" },
  ),
  evaluate({ claims, client: { device }, options }) {
    const { platforms, browsers, mobile, claim, claimIn } = options;
    if (platforms !== undefined && !platforms.includes(device.platform)) {
      return deny("platform_refused", `needs one of: ${platforms.join(", ")}`);
    }
    if (browsers !== undefined && !browsers.includes(device.browser)) {
      return deny("browser_refused", `needs one of: ${browsers.join(", ")}`);
    }
    if (mobile !== undefined && mobile !== device.mobile) {
      return deny(
        "mobile_refused",
        mobile ? "needs a mobile device" : "mobile devices are refused",
      );
    }
    if (claim === undefined) {
      return claimIn === undefined
        ? allow()
        : deny("device_claim_missing", "claimIn needs the option claim");
    }
    const value = claimAt(claims, claim);
    if (value === undefined || value === null || value === "") {
      return deny("device_claim_missing", `needs the claim ${claim}`);
    }
    const fits =
      claimIn === undefined
        ? value === true || typeof value === "string"
        : claimIn.some((wanted) => value === wanted);
    return fits ? allow() : deny("device_claim_refused", `the claim ${claim} has another value`);
  },
  cases: [
    {
      name: "a platform that passes, by client hints",
      options: { platforms: ["macos", "linux"] },
      request: { headers: { "Sec-CH-UA-Platform": '"macOS"' } },
      expect: "allow",
    },
    {
      name: "a platform that does not, by its user agent",
      options: { platforms: ["macos", "linux"] },
      request: {
        headers: {
          "User-Agent":
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        },
      },
      expect: "deny platform_refused",
    },
    {
      name: "a platform that nobody knows",
      options: { platforms: ["macos"] },
      expect: "deny platform_refused",
    },
    {
      name: "a browser that passes",
      options: { browsers: ["firefox"] },
      client: { device: { browser: "firefox" } },
      expect: "allow",
    },
    {
      name: "a browser that does not",
      options: { browsers: ["firefox"] },
      request: { headers: { "User-Agent": "curl/8.5.0" } },
      expect: "deny browser_refused",
    },
    {
      name: "no mobile devices",
      options: { mobile: false },
      request: { headers: { "Sec-CH-UA-Mobile": "?1" } },
      expect: "deny mobile_refused",
    },
    {
      name: "mobile devices only",
      options: { mobile: true },
      client: { device: { mobile: true } },
      expect: "allow",
    },
    {
      name: "not mobile where only mobile passes",
      options: { mobile: true },
      client: { device: { mobile: false } },
      expect: "deny mobile_refused",
    },
    {
      name: "everything must hold",
      options: { platforms: ["macos"], browsers: ["safari"] },
      client: { device: { platform: "macos", browser: "chrome" } },
      expect: "deny browser_refused",
    },
    {
      name: "a claim with a value that passes",
      options: { claim: "device.posture", claimIn: ["managed"] },
      claims: { device: { posture: "managed" } },
      expect: "allow",
    },
    {
      name: "a claim with another value",
      options: { claim: "device.posture", claimIn: ["managed"] },
      claims: { device: { posture: "personal" } },
      expect: "deny device_claim_refused",
    },
    {
      name: "a claim that is missing",
      options: { claim: "device.posture", claimIn: ["managed"] },
      expect: "deny device_claim_missing",
    },
    {
      name: "a device that its issuer names",
      options: { claim: "device_id" },
      claims: { device_id: "d-4711" },
      expect: "allow",
    },
    {
      name: "a claim that says no",
      options: { claim: "device_managed" },
      claims: { device_managed: false },
      expect: "deny device_claim_refused",
    },
    {
      name: "values without a claim let nobody pass",
      options: { claimIn: ["managed"] },
      expect: "deny device_claim_missing",
    },
  ],
});

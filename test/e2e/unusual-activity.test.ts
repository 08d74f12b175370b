/** A stolen token, from the first request of the thief to the command that names it. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeMmdb } from "../support/mmdb.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, serve } from "./claimgate.ts";

const CONFIG = `listen: 127.0.0.1:0
trustedProxies: [127.0.0.1/32]
geo: places.mmdb
issuers: [{ name: dev, development: true }]
routes:
  - name: app
    match: { path: /* }
    upstream: echo
    policies:
      - unusual-activity: { newDevice: { after: 0s } }
  - name: observed
    match: { path: /observed }
    upstream: echo
    policies:
      - unusual-activity: { atMost: observe }
`;

const PLACES = makeMmdb({
  "192.0.2.0/24": {
    country: { iso_code: "AT" },
    location: { latitude: 48.21, longitude: 16.37 },
  },
  "203.0.113.0/24": {
    country: { iso_code: "AU" },
    location: { latitude: -33.87, longitude: 151.21 },
  },
});

const OWNER = {
  "X-Forwarded-For": "192.0.2.7",
  "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
};
const THIEF = { "X-Forwarded-For": "203.0.113.9", "User-Agent": "curl/8.14.1" };

type Listed = {
  readonly subject: string;
  readonly addresses: readonly { readonly country?: string }[];
  readonly unusual: readonly { readonly signal: string; readonly policy: string }[];
  readonly revoked?: { readonly author: string; readonly reason: string };
};

describe("unusual-activity in the executable", () => {
  test("revokes a copied token at its first use, and tokens --unusual tells", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": CONFIG });
    await Bun.write(join(folder.path, "places.mmdb"), PLACES);
    await using gate = await serve([], { folder: folder.path });
    const ask = async (token: string, path: string, headers: Record<string, string>) => {
      const all = { ...headers, Authorization: `Bearer ${token}` };
      const response = await fetch(`${gate.urls[0]}${path}`, { headers: all });
      await response.arrayBuffer();
      return response.status;
    };

    const stolen = await developmentToken(folder.path, "--sub", "alice");
    expect([await ask(stolen, "/", OWNER), await ask(stolen, "/", OWNER)]).toEqual([200, 200]);
    expect(await ask(stolen, "/", THIEF)).toBe(403);
    expect([await ask(stolen, "/", THIEF), await ask(stolen, "/", OWNER)]).toEqual([401, 401]);

    const renewed = await developmentToken(folder.path, "--sub", "alice", "--claim", "n:=2");
    expect(await ask(renewed, "/", OWNER)).toBe(200);

    const watched = await developmentToken(folder.path, "--sub", "bob");
    expect(await ask(watched, "/observed", OWNER)).toBe(200);
    expect(
      await ask(watched, "/observed", { ...OWNER, ...{ "X-Forwarded-For": "203.0.113.9" } }),
    ).toBe(200);

    const { out, exitCode } = await run(["tokens", "--unusual", "--json"], { folder: folder.path });
    expect(exitCode).toBe(0);
    const listed: Listed[] = JSON.parse(out);
    const [alice, bob, ...more] = listed.sort((a, b) => (a.subject < b.subject ? -1 : 1));
    expect(more).toEqual([]);
    expect(alice?.revoked).toMatchObject({
      author: "policy unusual-activity",
      reason: "new_device_elsewhere",
    });
    expect(alice?.unusual.map(({ signal }) => signal).sort()).toEqual([
      "impossible_travel",
      "new_device_elsewhere",
    ]);
    expect(alice?.addresses.map(({ country }) => country).sort()).toEqual(["AT", "AU"]);
    expect(bob?.unusual).toMatchObject([
      { signal: "impossible_travel", policy: "unusual-activity" },
    ]);
    expect(bob?.revoked).toBeUndefined();
  }, 60_000);
});

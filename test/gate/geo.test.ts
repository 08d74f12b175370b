import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openGeo } from "../../src/gate/geo.ts";
import { type MmdbValue, makeMmdb } from "../support/mmdb.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

let folder: TempFolder;
beforeAll(async () => {
  folder = await tempFolder();
});
afterAll(async () => folder[Symbol.asyncDispose]());

async function opened(networks: Record<string, MmdbValue>, type?: string) {
  const file = join(folder.path, `${Bun.randomUUIDv7()}.mmdb`);
  await Bun.write(file, makeMmdb(networks, type));
  return openGeo(file);
}

const GRAZ = {
  country: { iso_code: "AT" },
  location: { latitude: 47.07, longitude: 15.44, accuracy_radius: 20 },
};

describe("openGeo()", () => {
  test("a database of places knows countries and locations, of IPv4 and IPv6", async () => {
    const placeOf = await opened({ "192.0.2.0/25": GRAZ, "2001:db8:7::/48": GRAZ });
    const graz = { country: "AT", location: { latitude: 47.07, longitude: 15.44 } };
    expect(placeOf("192.0.2.77")).toEqual(graz);
    expect(placeOf("2001:db8:7::1")).toEqual(graz);
    expect(placeOf("192.0.2.200")).toEqual({});
    expect(placeOf("2001:db8:8::1")).toEqual({});
    expect(placeOf("unix")).toEqual({});
  });

  test("a database of countries knows countries alone", async () => {
    const placeOf = await opened(
      { "198.51.100.0/24": { country: { iso_code: "FI" } } },
      "Test-Country",
    );
    expect(placeOf("198.51.100.7")).toEqual({ country: "FI" });
  });

  test.each([
    ["the middle of a country", { latitude: 37.75, longitude: -97.82, accuracy_radius: 1_000 }],
    ["no latitude", { longitude: 15.44 }],
    ["no place on earth", { latitude: 91, longitude: 15.44 }],
    ["nothing that is a number", { latitude: "47.07", longitude: "15.44" }],
    ["not a number at all", { latitude: Number.NaN, longitude: 15.44 }],
  ])("%s is no location", async (_, location) => {
    const placeOf = await opened({ "192.0.2.0/24": { country: { iso_code: "US" }, location } });
    expect(placeOf("192.0.2.1")).toEqual({ country: "US" });
  });

  test("a location near the equator is one", async () => {
    const placeOf = await opened({ "192.0.2.0/24": { location: { latitude: 0, longitude: 0 } } });
    expect(placeOf("192.0.2.1")).toEqual({ location: { latitude: 0, longitude: 0 } });
  });

  test("without a database nobody is anywhere", async () => {
    const placeOf = await openGeo(undefined);
    expect(placeOf("192.0.2.1")).toEqual({});
  });

  test("what is no database is refused, with its name", async () => {
    const file = await folder.write("broken.mmdb", "not a database");
    expect(openGeo(file)).rejects.toMatchObject({ code: "state_unusable" });
  });
});

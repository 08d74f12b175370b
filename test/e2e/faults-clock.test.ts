/** What becomes of a gate, and of what it knows, when its machine's clock is set back. */
import { expect, test } from "bun:test";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../support/needs.ts";
import { tempFolder } from "../support/temp-folder.ts";
import {
  type Asked,
  ask,
  askUntil,
  assertRecorded,
  claimsOf,
  faultFolder,
  jtiOf,
  storeState,
  wordsOf,
} from "./fault-gate.ts";

const TEST_LIMIT_MS = 60_000;
const REVOKED = "401 token_revoked";

/** A clock for programs alone, that can be set while they run. */
async function startClock() {
  const folder = await tempFolder({ offset: "+0\n" });
  const [library] = await Array.fromAsync(
    new Bun.Glob("usr/lib/*/faketime/libfaketimeMT.so.1").scan({ cwd: "/", absolute: true }),
  );
  if (library === undefined) throw new Error("faketime has no library here");
  const file = join(folder.path, "offset");
  return {
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    /** @param seconds From the true time. */
    async set(seconds: number): Promise<void> {
      // Whole at once: it is read at every look at the clock.
      await folder.write("next", `${seconds < 0 ? "" : "+"}${seconds}s\n`);
      await rename(join(folder.path, "next"), file);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describeWith("faketime", "a gate whose clock", () => {
  test(
    "is set back an hour: what is revoked stays so, limits go on, chains hold",
    async () => {
      await using clock = await startClock();
      await using folder = await faultFolder("sqlite:state/claimgate.db", clock.environment);
      await clock.set(-2 * 3_600);
      const tokenOf = (subject: string) => folder.token(subject, "--ttl", "12h");
      const [good, bad, carol, later] = (await Promise.all(
        ["alice", "bob", "carol", "dave"].map(tokenOf),
      )) as [string, string, string, string];
      await clock.set(0);
      await using gate = await folder.serve();
      const asked: Asked[] = [];
      const see = async (path: string, token?: string) => {
        const one = await ask(gate, path, token);
        asked.push(one);
        return wordsOf(one);
      };
      expect((await folder.run("revoke", "--jti", jtiOf(bad))).exitCode).toBe(0);
      expect((await folder.run("revoke", "--subject", "carol")).exitCode).toBe(0);
      for (const token of [bad, carol])
        asked.push(...(await askUntil(REVOKED, gate, "/app/x", token)));
      const metered = [];
      for (let count = 0; count < 4; count++) metered.push(await see("/metered", good));
      expect(metered).toEqual(["200", "200", "200", "429 rate_limited"]);

      await clock.set(-3_600);
      expect(await see("/app/x", good)).toBe("200");
      expect(await see("/app/x", bad)).toBe(REVOKED);
      expect(await see("/app/x", carol)).toBe(REVOKED);
      expect(await see("/metered", good)).toBe("429 rate_limited");
      const erin = await tokenOf("erin");
      expect(claimsOf(erin).iat).toBeLessThan(Date.now() / 1_000 - 3_500);
      expect(await see("/app/x", erin)).toBe("200");
      expect((await folder.run("revoke", "--jti", jtiOf(later))).exitCode).toBe(0);
      asked.push(...(await askUntil(REVOKED, gate, "/app/x", later)));
      expect(await storeState(gate)).toBe("200 fresh");
      const whenBack = await folder.run("tokens", "--revoked", "--json");
      for (const token of [bad, later]) expect(whenBack.out).toContain(jtiOf(token));
      expect(whenBack.out).toContain("carol");

      // The next gate knows of what was revoked in the future.
      {
        await using next = await folder.serve();
        for (const token of [bad, carol, later]) {
          expect(wordsOf(await ask(next, "/app/x", token))).toBe(REVOKED);
        }
      }
      await clock.set(0);
      for (const token of [bad, carol, later]) expect(await see("/app/x", token)).toBe(REVOKED);
      expect(await see("/app/x", good)).toBe("200");
      await assertRecorded(folder, asked);
      expect((await folder.run("store", "check")).exitCode).toBe(0);
    },
    TEST_LIMIT_MS,
  );
});

import { expect, test } from "bun:test";
import { join } from "node:path";
import { inspectStore } from "../../src/store/inspect.ts";
import { makeCertificate } from "../support/certificate.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { startRedis } from "../support/redis-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { eventually, record, revocation } from "./contract.ts";
import { messageOf, openAt, take } from "./redis-place.ts";
import { sighting } from "./sighting.ts";

describeWith("redis-server", "Redis behind a password and TLS", () => {
  const password = "p@ss/w:rd?#% ü";
  const withPassword = (port: number, word = password) =>
    `redis://:${encodeURIComponent(word)}@127.0.0.1:${port}`;

  test("takes the right password, and tells nobody a wrong one", async () => {
    await using server = await startRedis(["--requirepass", password], withPassword);
    const store = await openAt(withPassword(server.port));
    await store.revoke(revocation());
    await store.close();
    const message = (url: string) => messageOf(openAt(url));
    const prefix = `Cannot use the store ${server.url}: it `;
    expect(await message(withPassword(server.port, "wr0ng"))).toBe(
      `${prefix}refuses the user name or password`,
    );
    expect(await message(server.url)).toBe(`${prefix}asks for a password`);
  });

  test("needs no more of an access list than is written in docs/store.md", async () => {
    await using server = await startRedis();
    const page = await Bun.file(join(import.meta.dir, "../../docs/store.md")).text();
    const [, rules = ""] = /^user claimgate (.+)$/m.exec(page) ?? [];
    await server.ask(
      "ACL",
      "SETUSER",
      "claimgate",
      ...rules.replace("PASSWORD", "word").split(" "),
    );
    const url = server.url.replace("://", "://claimgate:word@");
    const [store, others] = [await openAt(url, "claimgate:"), await openAt(url, "claimgate:")];
    let calls = 0;
    store.onRevocation(() => {
      calls++;
    });
    await store.append([record("a", 1), record("a", 2)]);
    await eventually(async () => {
      await others.revoke(revocation({ value: crypto.randomUUID() }));
      return calls > 0;
    });
    await store.unrevoke("jti", "okta", "nobody");
    await store.noteSightings([sighting("a")]);
    await store.putNew("k", "v", 9_000);
    await store.take("k");
    await take(store, ["alice", 3, 60_000]);
    await store.secret?.("s", new Uint8Array(32));
    expect(await store.find({ limit: 9 })).toHaveLength(2);
    expect(await store.chain("a", 0, 9)).toHaveLength(2);
    expect(await store.sightings({ limit: 9 })).toHaveLength(1);
    expect((await store.revocations(2_000)).length).toBeGreaterThan(0);
    await store.sweep(1_000_000);
    await store.sweepSightings(1_000_000);
    const inspection = await inspectStore({ kind: "redis", url, prefix: "claimgate:" }, "check");
    expect(inspection?.problems).toEqual([]);
    const elsewhere = await messageOf(openAt(url, "other:"));
    expect(elsewhere).toContain("its access list does not allow");
    await Promise.all([store.close(), others.close()]);
  });

  test("believes only a certificate that it knows", async () => {
    const certificate = makeCertificate("localhost");
    await using folder = await tempFolder({
      "cert.pem": certificate.cert,
      "key.pem": certificate.key,
    });
    const tls = ["--tls-cert-file", `${folder.path}/cert.pem`, "--tls-key-file"];
    const args = [...tls, `${folder.path}/key.pem`, "--tls-auth-clients", "no", "--tls-port"];
    const port = freePort();
    await using _server = await startRedis([...args, String(port)]);
    const url = `rediss://localhost:${port}`;
    expect(await messageOf(openAt(url))).toContain("its certificate is not good");
    const script = `
      import { openRedisStore } from ${JSON.stringify(`${import.meta.dir}/../../src/store/redis.ts`)};
      const config = { kind: "redis", url: ${JSON.stringify(url)}, prefix: "cg:" };
      const store = await openRedisStore(config, { now: Date.now });
      console.log((await store.revision()).endsWith(".0"));
      await store.close();`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: `${folder.path}/cert.pem` },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect((await child.stdout.text()) + (await child.stderr.text())).toBe("true\n");
    expect(await child.exited).toBe(0);
  });
});

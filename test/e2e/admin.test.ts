/** The executable's admin API, and its commands beside a gate that runs. */
import { describe, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, serve } from "./claimgate.ts";

const CONFIG = `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes:
  - { name: app, match: { path: /app/* }, upstream: echo, anyAuthenticated: true }
`;

describe("a gate that serves", () => {
  test("answers its administrator, and goes without a trace of the socket", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": CONFIG });
    const socket = join(folder.path, "claimgate.sock");
    await using gate = await serve([], { folder: folder.path });
    expect(lstatSync(socket).mode & 0o777).toBe(0o600);
    const ask = (path: string, init: RequestInit = {}) =>
      fetch(`http://localhost${path}`, { ...init, unix: socket });

    const token = await developmentToken(folder.path, "--sub", "alice");
    const visit = async () => {
      const headers = { Authorization: `Bearer ${token}` };
      return (await fetch(`${gate.urls[0]}/app/x`, { headers })).status;
    };
    expect(await visit()).toBe(200);
    const metrics = await (await ask("/metrics")).text();
    expect(metrics).toContain(
      'claimgate_decisions_total{route="app",decision="forward",code="",status="2xx"} 1\n',
    );
    expect(metrics).toContain('claimgate_upstream_duration_seconds_count{route="app"} 1\n');
    expect(await (await ask("/docs")).text()).toContain("Claimgate admin API");
    expect(await (await ask("/v1/decisions")).json()).toMatchObject({
      decisions: [{ path: "/app/x", token: { subject: "alice" } }],
    });
    expect(await (await ask("/v1/tokens")).json()).toMatchObject({
      tokens: [{ subject: "alice", requests: 1, routes: [{ name: "app" }] }],
    });

    const revoked = await run(["revoke", "--token", token], { folder: folder.path });
    expect(revoked).toMatchObject({ exitCode: 0, err: "" });
    expect(await visit()).toBe(401);
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ subject: "bob", reason: "left" });
    expect((await ask("/v1/revocations", { method: "POST", headers, body })).status).toBe(200);
    expect((await ask("/v1/reload", { method: "POST" })).status).toBe(200);

    gate.signal("SIGTERM");
    expect(await gate.ended()).toBe(0);
    expect(lstatSync(socket, { throwIfNoEntry: false })).toBeUndefined();
    // What was done is in the audit, whose chain holds.
    const { out } = await run(["audit", "--json"], { folder: folder.path });
    const acts = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ kind }) => kind === "act");
    expect(acts.map(({ actor, act }) => `${actor} ${act}`)).toEqual([
      "cli revoke",
      "admin revoke",
      "admin reload",
    ]);
    const verified = await run(["audit", "verify"], { folder: folder.path });
    expect(verified.exitCode).toBe(0);
    expect(gate.stderr()).not.toContain(token);
  }, 60_000);
});

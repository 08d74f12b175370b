import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { type RunningGate, startGate } from "../../src/cli/start-gate.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { makeCertificate } from "../support/certificate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const { cert, key } = makeCertificate();
const TLS = { cert: "cert.pem", key: "key.pem", clientCa: "cert.pem" };

function config(tls: object | undefined, listen = "unix:gate.sock"): string {
  const routes = [{ name: "all", upstream: "echo", public: true }];
  return stringify({ listen, routes, ...(tls && { tls }) });
}

async function start(file: string, lines: string[]): Promise<RunningGate> {
  const sink = { write: (line: string) => void lines.push(line), flush: async () => {} };
  return startGate({
    file,
    environment: {},
    now: Date.now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now: Date.now }),
  });
}

describe("a unix socket whose TLS is to let in others", () => {
  test.each([
    ["plain, then with certificates of clients", undefined, { ...TLS, clientAuth: "required" }],
    ["TLS, then with certificates of clients", TLS, { ...TLS, clientAuth: "required" }],
    ["TLS, then plain", TLS, undefined],
  ])("%s: the reload is refused, and says why", async (_, before, after) => {
    await using folder = await tempFolder({ "cert.pem": cert, "key.pem": key });
    const file = await folder.write("claimgate.yaml", config(before));
    const lines: string[] = [];
    const running = await start(file, lines);
    try {
      await folder.write("claimgate.yaml", config(after));
      expect(await running.reload()).toBe(false);
      const socket = `unix:${join(folder.path, "gate.sock")}`;
      expect(lines.join("\n")).toContain(`${socket} cannot change whom its TLS lets in`);
      expect(running.urls()).toEqual([socket]);

      await folder.write("claimgate.yaml", config(after, "unix:other.sock"));
      expect(await running.reload()).toBe(true);
    } finally {
      await running.drain();
    }
  });

  test("a renewed certificate is no reason to refuse", async () => {
    await using folder = await tempFolder({ "cert.pem": cert, "key.pem": key });
    const running = await start(await folder.write("claimgate.yaml", config(TLS)), []);
    try {
      const renewed = makeCertificate();
      await folder.write("key.pem", renewed.key);
      await folder.write("cert.pem", renewed.cert);
      expect(await running.reload()).toBe(true);
    } finally {
      await running.drain();
    }
  });
});

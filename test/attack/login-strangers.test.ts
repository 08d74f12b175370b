import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openBrowser } from "../login/browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";

let provider: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      issuers: [issuerEntry(provider.issuer)],
      routes: [{ name: "tool", upstream, login: true, anyAuthenticated: true }],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

/** How much the store keeps for sign-ins, whoever began them. */
function keptValues(): number {
  const database = new Database(join(gate.folder.path, "claimgate.db"), { readonly: true });
  try {
    const sql = "SELECT count(*) AS count FROM single_values";
    return database.query<{ count: number }, []>(sql).get()?.count ?? 0;
  } finally {
    database.close();
  }
}

describe("whoever cannot sign in", () => {
  // The store holds a bounded number: filled by strangers, it would have no room for sessions.
  test.each([
    ["the provider's error", { error: "access_denied" }],
    ["no code", {}],
    ["a code of their own making", { code: "made-up" }],
  ])("leaves nothing in the store by bringing %s", async (_, answer) => {
    const before = keptValues();
    for (let times = 0; times < 5; times += 1) {
      const stranger = openBrowser();
      const begun = await stranger.go(`${gate.url}/.claimgate/login?return=/`);
      const state = new URL(begun.headers.get("location") ?? "").searchParams.get("state") ?? "";
      const query = new URLSearchParams({ ...answer, state });
      const { status } = await stranger.go(`${gate.url}/.claimgate/callback?${query}`);
      expect([400, 502]).toContain(status);
    }
    expect(keptValues()).toBe(before);
  });
});

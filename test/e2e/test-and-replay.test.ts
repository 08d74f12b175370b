/**
 * The way of a rule, with the compiled executable in a folder of its own: tested, served,
 * recorded, and replayed by other rules before they take effect.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, serve } from "./claimgate.ts";

setDefaultTimeout(60_000);

const byClaim = (claim: string, value: string) => `
import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "By ${claim}",
  claims: Type.Object({ ${claim}: Type.Optional(Type.Unknown()) }),
  evaluate({ claims }) {
    const has = [claims.${claim}].flat().includes("${value}");
    return has ? allow() : deny("${claim}_missing", "needs ${claim} ${value}");
  },
});
`;

let folder: TempFolder;

beforeAll(async () => {
  folder = await tempFolder();
  await run(["init"], { folder: folder.path });
  const config = await Bun.file(`${folder.path}/claimgate.yaml`).text();
  await folder.write("claimgate.yaml", config.replace("127.0.0.1:8080", "127.0.0.1:0"));
});

afterAll(() => folder[Symbol.asyncDispose]());

const command = (...args: string[]) => run(args, { folder: folder.path });

test("what init writes passes, and all of it is reached", async () => {
  const { exitCode, out, err } = await command("test", "--coverage");
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  expect(out.replaceAll(/\d+\.\d ms/g, "0.0 ms")).toBe(`policy staff
  ✓ staff pass  0.0 ms
  ✓ guests do not  0.0 ms

route home
  ✓ staff reach the application, which is told who they are  0.0 ms
  ✓ guests do not  0.0 ms
  ✓ nobody does without a token  0.0 ms

route public
  ✓ what is public needs none  0.0 ms

6 passed (0.0 ms)

lines of            reached  not reached
policies/staff.ts     100 %

every code is reached
`);
});

test("lines and codes that nothing reaches are told", async () => {
  const text = await Bun.file(`${folder.path}/policies/staff.ts`).text();
  const branch = `evaluate({ claims }) {
    if (claims.roles.includes("banned")) {
      return deny("banned");
    }`;
  await folder.write("policies/staff.ts", text.replace("evaluate({ claims }) {", branch));
  const { exitCode, out } = await command("test", "--coverage");
  await folder.write("policies/staff.ts", text);
  expect(exitCode).toBe(0);
  expect(out).toMatch(/^policies\/staff\.ts +\d\d % +9$/m);
  expect(out).toEndWith("1 answer that nothing reaches\n  staff: banned\n");
});

describe("replay", () => {
  const ids: string[] = [];

  beforeAll(async () => {
    await using gate = await serve([], { folder: folder.path });
    const staff = await developmentToken(
      folder.path,
      "--sub",
      "alice",
      "--claim",
      "roles=staff,it",
    );
    const guest = await developmentToken(folder.path, "--sub", "bob", "--claim", "roles=guest");
    const send = async (path: string, token?: string) => {
      const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      const response = await fetch(gate.urls[0] + path, { headers });
      ids.push(response.headers.get("x-request-id") ?? "");
    };
    await send("/orders", staff);
    await send("/orders/1", staff);
    await send("/orders", guest);
    await send("/orders", "x.y.z");
    await send("/orders");
    await send("/public/logo");
    gate.signal("SIGTERM");
    await gate.ended();
  });

  test("by the same rules changes nothing", async () => {
    const { exitCode, out, err } = await command(
      "replay",
      "--since",
      "1h",
      "--fail-on-change",
      "--json",
    );
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(JSON.parse(out)).toEqual({
      decisions: 6,
      unchanged: 6,
      newlyDenied: [],
      newlyAllowed: [],
      unknown: [],
    });
  });

  test("by other policies says who would lose and who would gain", async () => {
    await folder.write("guests/staff.ts", byClaim("roles", "guest"));
    const args = ["replay", "--policies", "guests"];
    const { exitCode, out, err } = await command(...args);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    const normal = out.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z {2}[0-9a-f-]{36}/g, "TIME  ID");
    expect(normal).toBe(`6 decisions
  3 unchanged
  2 newly denied
  1 newly allowed
  0 unknown

Newly denied
  by route    home 2
  by code     policy_denied · staff: roles_missing 2
  by subject  alice 2
  for example
    GET 127.0.0.1/orders/1 by alice: policy_denied · staff: roles_missing
    TIME  ID
    GET 127.0.0.1/orders by alice: policy_denied · staff: roles_missing
    TIME  ID

Newly allowed
  by route    home 1
  by code     policy_denied · staff: role_missing 1
  by subject  bob 1
  for example
    GET 127.0.0.1/orders by bob: was policy_denied · staff: role_missing
    TIME  ID
`);
    expect((await command(...args, "--fail-on-change")).exitCode).toBe(1);
    const json = JSON.parse((await command(...args, "--json")).out);
    expect(json.newlyAllowed).toEqual([
      {
        requestId: ids[2],
        at: expect.any(String),
        method: "GET",
        host: "127.0.0.1",
        path: "/orders",
        route: "home",
        subject: "bob",
        before: {
          decision: "deny",
          status: 403,
          code: "policy_denied",
          reason: "role_missing",
          policy: "staff",
        },
        after: { decision: "forward" },
      },
    ]);
    const limited = await command(...args, "--json", "--limit", "1");
    expect(JSON.parse(limited.out).newlyDenied).toHaveLength(1);
    expect(limited.err).toBe("claimgate: lists end after 1; --limit shows more\n");
  });

  test("says what was not kept, and guesses nothing", async () => {
    await folder.write("departments/staff.ts", byClaim("department", "it"));
    const args = ["replay", "--policies", "departments"];
    const { exitCode, out } = await command(...args, "--fail-on-change");
    expect(exitCode).toBe(0);
    expect(out).toContain("  3 unknown\n");
    expect(out).toContain("\nUnknown\n  3 decisions lack claim department\n");
    const { unknown } = JSON.parse((await command(...args, "--json")).out);
    expect(unknown.map((one: { lacking: string[] }) => one.lacking)).toEqual([
      ["claim department"],
      ["claim department"],
      ["claim department"],
    ]);
  });

  test("by another configuration, with what its shadow would refuse", async () => {
    const text = await Bun.file(`${folder.path}/claimgate.yaml`).text();
    const config = text.replace(
      "policies: [staff] ",
      "policies: [staff, { shadow: { require-claim: { path: roles, equals: it } } }] ",
    );
    await folder.write("policies/it-only.ts", byClaim("roles", "it"));
    await folder.write("next.yaml", config.replace("path: /public/*", "path: /orders"));
    const { exitCode, out } = await command("replay", "--config", "next.yaml", "--fail-on-change");
    expect(exitCode).toBe(1);
    // /orders is public now, and /public/logo a matter of tokens.
    expect(out).toContain("  3 newly allowed\n");
    expect(out).toContain("\n  1 decision lacks a credential: none was looked for\n");
    await folder.write(
      "shadow.yaml",
      text.replace("policies: [staff] ", "policies: [staff, { shadow: it-only }] "),
    );
    const strict = await command("replay", "--config", "shadow.yaml");
    expect(strict.out).toContain("  6 unchanged\n");
    expect(strict.out).not.toContain("Under shadow");
    await folder.write("policies/it-only.ts", byClaim("roles", "ops"));
    const shadow = await command("replay", "--config", "shadow.yaml");
    expect(shadow.out).toEndWith(
      "\nUnder shadow\n  it-only (roles_missing) would have refused 2 decisions\n",
    );
  });

  test("is told when it is called wrongly", async () => {
    const codes = async (...args: string[]) => (await command("replay", ...args)).exitCode;
    expect(await codes("--since", "yesterday")).toBe(2);
    expect(await codes("--limit", "0")).toBe(2);
    expect(await codes("--policies", "nowhere")).toBe(2);
    expect(await codes("--config", "nowhere.yaml")).toBe(2);
    await folder.write("broken/staff.ts", "export default 7;\n");
    expect(await codes("--policies", "broken")).toBe(1);
    const none = await command(
      "replay",
      "--until",
      "2026-01-01",
      "--since",
      "2025-01-01",
      "--json",
    );
    expect(JSON.parse(none.out).decisions).toBe(0);
  });
});

import { expect, test } from "bun:test";
import { shownUpstream } from "../../../src/cli/explain/shown-upstream.ts";

const TOKEN = "aaa.bbb.ccc";

test("a credential that the route forwards is not shown, wherever it goes", () => {
  const headers = new Headers({
    Authorization: `Bearer ${TOKEN}`,
    Cookie: `session=${TOKEN}; theme=dark`,
    "X-Token": TOKEN,
    "X-Request-Id": "one",
    "X-User": Buffer.from("Żaneta").toString("latin1"),
  });
  const outbound = { target: `/orders?key=${TOKEN}&a=1`, headers };
  expect(shownUpstream("GET", outbound, TOKEN)).toEqual({
    method: "GET",
    target: "/orders?key=(not shown)&a=1",
    headers: {
      authorization: "(not shown)",
      cookie: "(not shown)",
      "x-token": "(not shown)",
      "x-request-id": "(new for each request)",
      "x-user": "Żaneta",
    },
  });
});

import { describe, expect, test } from "bun:test";
import { html, pageResponse } from "../../src/login/page.ts";

const page = (brand?: { name?: string; colour?: string }, formAction?: string) =>
  pageResponse({
    status: 200,
    title: "Title",
    body: html`<p>${"<b>&\"'"}</p>`,
    brand,
    ...(formAction !== undefined && { formAction }),
  });

describe("a page", () => {
  test("escapes what it is given", async () => {
    const text = await page({ name: '<script>"' }).text();
    expect(text).toContain("<p>&#60;b&#62;&#38;&#34;&#39;</p>");
    expect(text).not.toContain("<script>");
  });

  test("loads, runs and posts nothing, is framed by nobody and kept nowhere", () => {
    const { headers } = page();
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
  });

  test.each([undefined, "#0a7", "#ffee00", "#101010"])(
    "in the colour %s has a style that its policy names, and text that can be read",
    async (colour) => {
      const response = page(colour === undefined ? {} : { colour });
      const text = await response.text();
      const [, style = ""] = /<style>([\s\S]*)<\/style>/.exec(text) ?? [];
      const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
      expect(response.headers.get("content-security-policy")).toContain(`'sha256-${hash}'`);
      expect(style).toContain("prefers-color-scheme: dark");
      const [, ink] = /--on-mark: ([^;]+);/.exec(style) ?? [];
      expect(ink).toBe(colour === "#ffee00" || colour === "#0a7" ? "#10142a" : "#fff");
      expect(style).toContain(`--mark: ${colour ?? "#3556d8"};`);
    },
  );

  test("with a form says where that may lead, and sends its origin", () => {
    const { headers } = page({}, "'self' https:");
    expect(headers.get("content-security-policy")).toContain("form-action 'self' https:;");
    expect(headers.get("referrer-policy")).toBe("same-origin");
  });
});

import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { readPem } from "../../src/identity/pem.ts";

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const SPKI = publicKey.export({ format: "pem", type: "spki" }).toString();
const JWK = publicKey.export({ format: "jwk" });

/** A self-signed certificate of P-256, valid for a day. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUe71HSs0dhANKLc0YePikKBGoq0AwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjQyMjA0MTBaFw0yNjExMjUyMjA0MTBa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQPdBDb
tcpKr6PiU6Al7NdeJO5p5Bl3/ECohz7ujFLGji+K8/yBNxp815mfC6XnqLwA+uZd
FXkdz3Yl9j6N7hEho1MwUTAdBgNVHQ4EFgQUafHxPpHtm8iSTjMldWILGnZ18n4w
HwYDVR0jBBgwFoAUafHxPpHtm8iSTjMldWILGnZ18n4wDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiBGK+DHEWasyyTQAuSmVzsEH25w0SBFKvnORl0T
0aAbzgIhAKxnhdtHLtCtKFLpuaYOWwj6E4fA96h2zzgcONSkzjfi
-----END CERTIFICATE-----
`;

describe("readPem()", () => {
  test("reads a public key of either kind", () => {
    expect(readPem(SPKI)).toEqual({ ok: true, value: { keys: [JWK] } });
    const pkcs1 = publicKey.export({ format: "pem", type: "pkcs1" }).toString();
    expect(readPem(`some words before\n${pkcs1}`)).toEqual({ ok: true, value: { keys: [JWK] } });
  });

  test("reads the key of a certificate, whose dates are not looked at", () => {
    expect(readPem(CERTIFICATE)).toMatchObject({
      ok: true,
      value: { keys: [{ kty: "EC", crv: "P-256" }] },
    });
  });

  test.each([
    [
      "a private key",
      privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      "neither a public key nor a certificate",
    ],
    [
      "an old private key",
      privateKey.export({ format: "pem", type: "pkcs1" }).toString(),
      "neither a public key nor a certificate",
    ],
    ["two keys", SPKI + SPKI, "more than one PEM block"],
    ["a damaged key", SPKI.replace("MII", "!!!"), "damaged, or a kind of key that is unknown here"],
    ["text", "key", "not a PEM file"],
    ["nothing", "", "not a PEM file"],
  ])("refuses %s", (_, text, error) => {
    expect(readPem(text)).toEqual({ ok: false, error });
  });
});

/** @returns UTF-8 as `Headers` takes it: one code unit a byte (WebIDL, ByteString). */
export function byteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

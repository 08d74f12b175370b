/**
 * Writes small databases in MaxMind's format, because a test has none of anybody's data.
 *
 * @see https://maxmind.github.io/MaxMind-DB/
 * @module
 */
import { parseCIDR } from "ipaddr.js";

/** What a database says of a network. Numbers are written as doubles, but for whole ones in metadata. */
export type MmdbValue = string | number | { readonly [name: string]: MmdbValue };

/**
 * An IPv6 database, with IPv4 networks where readers look for them (`::/96`).
 *
 * @param networks Range (`192.0.2.0/24`, `2001:db8::/32`) to record. They do not overlap.
 */
export function makeMmdb(
  networks: Readonly<Record<string, MmdbValue>>,
  databaseType = "Test-City",
): Uint8Array {
  const data: number[] = [];
  const offsets = new Map<MmdbValue, number>();
  const root: Tree = [undefined, undefined];
  for (const [range, value] of Object.entries(networks)) {
    let at = offsets.get(value);
    if (at === undefined) {
      at = data.length;
      offsets.set(value, at);
      encode(value, data);
    }
    plant(root, bitsOf(range), at);
  }

  const nodes: Tree[] = [];
  const number = (node: Tree) => {
    nodes.push(node);
    for (const side of node) if (Array.isArray(side)) number(side);
  };
  number(root);
  const places = new Map(nodes.map((node, at) => [node, at]));
  const tree = new DataView(new ArrayBuffer(nodes.length * 8));
  nodes.forEach((node, at) => {
    node.forEach((side, which) => {
      const record = Array.isArray(side)
        ? (places.get(side) ?? 0)
        : side === undefined
          ? nodes.length
          : nodes.length + SEPARATOR_BYTES + side;
      tree.setUint32(at * 8 + which * 4, record);
    });
  });

  const metadata: number[] = [];
  const whole = (value: number) => metadata.push(...unsigned(value));
  const key = (name: string) => encode(name, metadata);
  const entries: readonly (readonly [string, () => void])[] = [
    ["node_count", () => whole(nodes.length)],
    ["record_size", () => whole(32)],
    ["ip_version", () => whole(6)],
    ["database_type", () => encode(databaseType, metadata)],
    ["binary_format_major_version", () => whole(2)],
    ["binary_format_minor_version", () => whole(0)],
    ["build_epoch", () => whole(1_767_225_600)],
  ];
  metadata.push(...control(7, entries.length));
  for (const [name, write] of entries) {
    key(name);
    write();
  }
  return Uint8Array.from([
    ...new Uint8Array(tree.buffer),
    ...new Array<number>(SEPARATOR_BYTES).fill(0),
    ...data,
    ...Buffer.from("ABCDEF4D61784D696E642E636F6D", "hex"), // \xAB\xCD\xEFMaxMind.com
    ...metadata,
  ]);
}

/** Each side leads to a node, to a record at an offset, or nowhere. */
type Tree = [Tree | number | undefined, Tree | number | undefined];

const SEPARATOR_BYTES = 16;

function plant(root: Tree, bits: readonly (0 | 1)[], offset: number): void {
  let node = root;
  const last = bits.at(-1);
  if (last === undefined) throw new RangeError("a database of one record for everybody is none");
  for (const bit of bits.slice(0, -1)) {
    const next = node[bit];
    if (typeof next === "number") throw new RangeError("networks overlap");
    const child: Tree = next ?? [undefined, undefined];
    node[bit] = child;
    node = child;
  }
  if (node[last] !== undefined) throw new RangeError("networks overlap");
  node[last] = offset;
}

function bitsOf(range: string): (0 | 1)[] {
  const [address, length] = parseCIDR(range);
  const bytes = address.toByteArray();
  const isV4 = bytes.length === 4;
  const all = isV4 ? [...new Array<number>(12).fill(0), ...bytes] : bytes;
  return all
    .flatMap((byte) =>
      [7, 6, 5, 4, 3, 2, 1, 0].map((bit): 0 | 1 => (((byte >> bit) & 1) === 1 ? 1 : 0)),
    )
    .slice(0, length + (isV4 ? 96 : 0));
}

function encode(value: MmdbValue, into: number[]): void {
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    into.push(...control(2, bytes.length), ...bytes);
  } else if (typeof value === "number") {
    const double = Buffer.alloc(8);
    double.writeDoubleBE(value);
    into.push(...control(3, 8), ...double);
  } else {
    const members = Object.entries(value);
    into.push(...control(7, members.length));
    for (const [name, member] of members) {
      encode(name, into);
      encode(member, into);
    }
  }
}

/** A whole number of up to 32 bits. */
function unsigned(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return [...control(6, 4), ...bytes];
}

/** @param size Under 285, which is enough for tests. */
function control(type: number, size: number): number[] {
  return size < 29 ? [(type << 5) | size] : [(type << 5) | 29, size - 29];
}

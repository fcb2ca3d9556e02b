import assert from "node:assert/strict";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { encodeIndex, writeListing, type Name } from "./directories.ts";
import { openMetadata } from "./metadata.ts";

function nameOf(number: number, block = 0): Name {
  return {
    name: `name-${String(number).padStart(6, "0")}`,
    number,
    reference: { block, offset: number % 8192 },
    type: 2,
  };
}

interface Header {
  readonly position: number;
  readonly block: number;
  readonly numbers: readonly number[];
  readonly firstName: string;
}

/** Reads the listing at the beginning of a table again. */
function readListing(table: Buffer, size: number): readonly Header[] {
  let content = Buffer.alloc(0);
  for (let at = 0; content.length < size; at += 2 + (table.readUInt16LE(at) & 0x7fff)) {
    const stored = table.subarray(at + 2, at + 2 + (table.readUInt16LE(at) & 0x7fff));
    content = Buffer.concat([content, zstdDecompressSync(stored)]);
  }
  const headers: Header[] = [];
  for (let at = 0; at < size;) {
    const [position, block, base] = [at, content.readUInt32LE(at + 4), content.readUInt32LE(at + 8)];
    const numbers: number[] = [];
    const count = content.readUInt32LE(at) + 1;
    at += 12;
    let firstName = "";
    for (let entry = 0; entry < count; entry += 1) {
      const length = content.readUInt16LE(at + 6) + 1;
      if (entry === 0) firstName = content.toString("latin1", at + 8, at + 8 + length);
      numbers.push(base + content.readInt16LE(at + 2));
      at += 8 + length;
    }
    headers.push({ position, block, numbers, firstName });
  }
  return headers;
}

function write(names: readonly Name[]) {
  const table = openMetadata(1);
  const listing = writeListing(names, table);
  return { listing, headers: readListing(table.end(), listing.size) };
}

test("a header has at most 256 names", () => {
  const { headers } = write(Array.from({ length: 300 }, (_, number) => nameOf(number + 1)));
  assert.deepEqual(
    headers.map(({ numbers }) => numbers.length),
    [256, 44],
  );
});

test("another block of inodes, and a number that is too far from the first, begin a header", () => {
  const names = [nameOf(40_000), nameOf(40_001), nameOf(40_002, 8000), nameOf(7_233, 8000), nameOf(7_234, 8000)];
  const { headers } = write(names);
  assert.deepEqual(
    headers.map(({ block, numbers }) => [block, numbers]),
    [
      [0, [40_000, 40_001]],
      [8000, [40_002]],
      [8000, [7_233, 7_234]],
    ],
  );
  assert.deepEqual(
    write([nameOf(40_000), nameOf(7_232), nameOf(7_231)]).headers.map(({ numbers }) => numbers),
    [[40_000, 7_232], [7_231]],
  );
});

test("where a block of metadata is full a header begins, and the index has it", () => {
  const { listing, headers } = write(Array.from({ length: 2000 }, (_, number) => nameOf(number + 1)));
  assert.equal(listing.index.length, Math.floor(listing.size / 8192));
  for (const { position, name } of listing.index) {
    const header = headers.find((header) => header.position === position);
    assert.equal(header?.firstName, name);
  }
  assert.deepEqual(
    headers.flatMap(({ numbers }) => numbers),
    Array.from({ length: 2000 }, (_, number) => number + 1),
  );
  const [{ position, block, name }] = listing.index as [(typeof listing.index)[number]];
  const encoded = encodeIndex(listing.index);
  assert.deepEqual(
    [0, 4, 8].map((at) => encoded.readUInt32LE(at)),
    [position, block, name.length - 1],
  );
});

test("an empty folder has an empty listing", () => {
  assert.deepEqual(write([]).listing, { start: { block: 0, offset: 0 }, size: 0, index: [] });
});

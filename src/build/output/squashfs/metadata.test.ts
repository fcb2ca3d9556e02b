import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { asNumber, lookupTable, metadataBlockSize, openMetadata } from "./metadata.ts";

/** The blocks of metadata by their places, decompressed. */
function readBlocks(bytes: Buffer): Map<number, Buffer> {
  const blocks = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length;) {
    const header = bytes.readUInt16LE(at);
    const length = header & 0x7fff;
    const stored = bytes.subarray(at + 2, at + 2 + length);
    blocks.set(at, (header & 0x8000) === 0 ? zstdDecompressSync(stored) : stored);
    at += 2 + length;
  }
  return blocks;
}

/** Bytes that cannot be compressed, the same each time. */
function noise(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, part) =>
    createHash("sha256").update(String(part)).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

test("records go on in the next block, and are found where they were said to be", () => {
  const metadata = openMetadata(1);
  const records = Array.from({ length: 40 }, (_, number) => Buffer.alloc(700, `record ${number} `));
  const references = records.map((record) => metadata.append(record));
  assert.equal(metadata.position, 28_000);
  const bytes = metadata.end();
  const blocks = readBlocks(bytes);
  assert.deepEqual(
    [...blocks.values()].map((block) => block.length),
    [metadataBlockSize, metadataBlockSize, metadataBlockSize, 28_000 - 3 * metadataBlockSize],
  );
  for (const [number, { block, offset }] of references.entries()) {
    const from = [...blocks].filter(([place]) => place >= block).map(([, content]) => content);
    const found = Buffer.concat(from).subarray(offset, offset + 700);
    assert.ok(found.equals(records[number] as Buffer), `record ${number}`);
  }
});

test("after a full block a record is told to begin the next one", () => {
  const metadata = openMetadata(1);
  metadata.append(noise(metadataBlockSize));
  const reference = metadata.append(Buffer.from("next"));
  assert.deepEqual(reference, { block: metadataBlockSize + 2, offset: 0 }, "the first is stored as it is");
  assert.equal(asNumber(reference), (metadataBlockSize + 2) * 65_536);
  assert.equal(readBlocks(metadata.end()).get(reference.block)?.toString(), "next");
});

test("nothing added is an empty table", () => {
  assert.equal(openMetadata(1).end().length, 0);
});

test("a lookup table ends with the places of its blocks in the image", () => {
  const records = Array.from({ length: 1025 }, (_, number) => Buffer.from(`${number}`.padStart(16)));
  const { bytes, start } = lookupTable(records, 5000, 1, Buffer.from("heading."));
  const places = bytes.subarray(start - 5000 + 8);
  assert.equal(bytes.subarray(start - 5000, start - 5000 + 8).toString(), "heading.");
  assert.equal(places.length, 3 * 8);
  const blocks = readBlocks(bytes.subarray(0, start - 5000));
  assert.deepEqual(
    [0, 8, 16].map((at) => Number(places.readBigUInt64LE(at)) - 5000),
    [...blocks.keys()],
  );
  assert.ok(Buffer.concat([...blocks.values()]).equals(Buffer.concat(records)));
});

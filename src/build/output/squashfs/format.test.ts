import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { dataBlockSize, encodeWords, littleEndian, storeBlock, storedLength } from "./format.ts";

test("numbers of 16, 32 and 64 bits are little endian", () => {
  const record = littleEndian([2, 0x1234], [4, 0xffff_fffe], [8, 2 ** 40 + 5]);
  assert.equal(record.toString("hex"), "3412feffffff0500000000010000");
});

test("a block is stored compressed, or as it is when that is not longer", () => {
  const text = Buffer.alloc(dataBlockSize, "text ");
  const stored = storeBlock(text, 1);
  assert.equal(stored.word, stored.bytes.length);
  assert.ok(zstdDecompressSync(stored.bytes).equals(text));
  const random = randomBytes(dataBlockSize);
  const plain = storeBlock(random, 1);
  assert.equal(plain.word, dataBlockSize | (1 << 24));
  assert.equal(storedLength(plain.word), dataBlockSize);
  assert.ok(plain.bytes.equals(random));
});

test("at every level the kernel's window of one block is enough for a block", () => {
  const content = Buffer.concat(Array.from({ length: 16 }, (_, part) => Buffer.alloc(dataBlockSize / 16, `${part} `)));
  for (const level of [1, 3, 15, 22]) {
    const descriptor = storeBlock(content, level).bytes[4] ?? 0;
    // RFC 8878, 3.1.1.1.1: the single segment flag; the window is as large as the content.
    assert.equal(descriptor & 0x20, 0x20, `level ${level}`);
  }
});

test("size words can be more than a function takes arguments", () => {
  const words = Array.from({ length: 200_000 }, (_, word) => word);
  assert.equal(encodeWords(words).readUInt32LE(4 * 199_999), 199_999);
});

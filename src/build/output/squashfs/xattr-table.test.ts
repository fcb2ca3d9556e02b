import assert from "node:assert/strict";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { none } from "./format.ts";
import { openXattrTable } from "./xattr-table.ts";

const one = Buffer.from("one");
const two = Buffer.from("two");

test("equal sets have one number, whatever their order", () => {
  const table = openXattrTable(1);
  const first = new Map([["user.a", one] as const, ["security.b", two] as const]);
  assert.equal(table.add(first), 0);
  assert.equal(table.add(new Map([["user.a", two]])), 1);
  assert.equal(table.add(new Map([...first].reverse())), 0);
});

test("the table leads to names without their name space, and to values", () => {
  const table = openXattrTable(1);
  table.add(new Map([["trusted.name\xff", Buffer.from("value")]]));
  const { bytes, start } = table.end(1000) as { bytes: Buffer; start: number };
  const heading = bytes.subarray(start - 1000);
  assert.equal(heading.readBigUInt64LE(0), 1000n, "where the pairs begin");
  assert.equal(heading.readUInt32LE(8), 1, "sets");
  const readBlock = (at: number) => {
    const header = bytes.readUInt16LE(at);
    const stored = bytes.subarray(at + 2, at + 2 + (header & 0x7fff));
    return header & 0x8000 ? stored : zstdDecompressSync(stored);
  };
  const set = readBlock(Number(heading.readBigUInt64LE(16)) - 1000);
  assert.deepEqual([set.readBigUInt64LE(0), set.readUInt32LE(8), set.readUInt32LE(12)], [0n, 1, 18]);
  assert.equal(readBlock(0).toString("latin1"), "\x01\0\x05\0name\xff\x05\0\0\0value");
});

test("what squashfs has no name space for is left out; without any there is no table", () => {
  const table = openXattrTable(1);
  assert.equal(table.add(new Map([["system.posix_acl_access", one]])), none);
  assert.equal(table.add(new Map()), none);
  assert.equal(table.end(0), undefined);
  const both = new Map([["system.posix_acl_access", one] as const, ["user.a", two] as const]);
  assert.equal(table.add(both), table.add(new Map([["user.a", two]])));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TreeEntry } from "./entry.ts";
import { none } from "./format.ts";
import { encodeInode } from "./inodes.ts";

const around = { owner: 3, group: 4, xattrs: none };

function inodeOf(entry: Partial<TreeEntry>, links = 1) {
  const usual = {
    path: "a",
    kind: "file",
    mode: 0o4755,
    uid: 0,
    gid: 0,
    mtime: 77,
    size: 0,
    xattrs: new Map(),
  } as const;
  return { entry: { ...usual, ...entry }, number: 9, links, children: [], parent: 0 };
}

test("every inode begins with type, mode, numbers of owner and group, time and number", () => {
  const inode = encodeInode(inodeOf({}), around);
  assert.deepEqual(
    [0, 2, 4, 6].map((at) => inode.readUInt16LE(at)),
    [2, 0o4755, 3, 4],
  );
  assert.deepEqual(
    [8, 12].map((at) => inode.readUInt32LE(at)),
    [77, 9],
  );
  assert.equal(inode.length, 32);
});

test("files with several names, holes, attributes or beyond 4 GiB need the extended form", () => {
  const typeOf = (entry: Partial<TreeEntry>, links: number, other: object) =>
    encodeInode(inodeOf(entry, links), { ...around, ...other }).readUInt16LE(0);
  const content = { start: 96, words: [5], fragment: none, offset: 0 };
  assert.equal(typeOf({ size: 200_000 }, 1, { content }), 2);
  assert.equal(typeOf({ size: 200_000 }, 2, { content }), 9);
  assert.equal(typeOf({ size: 200_000 }, 1, { content, xattrs: 0 }), 9);
  assert.equal(typeOf({ size: 200_000 }, 1, { content: { ...content, start: 2 ** 32 } }), 9);
  assert.equal(typeOf({ size: 2 ** 32 }, 1, { content }), 9);
  assert.equal(typeOf({ size: 200_000 }, 1, { content: { ...content, words: [5, 0] } }), 9);
});

test("bytes in holes are counted, of the last block those that the file has", () => {
  const content = { start: 0, words: [0, 7, 0], fragment: none, offset: 0 };
  const inode = encodeInode(inodeOf({ size: 2 * 131_072 + 10 }), { ...around, content });
  assert.equal(inode.readBigUInt64LE(32), 131_082n);
});

test("devices have 12 bits for the one number and 20 for the other", () => {
  const encoded = (major: number, minor: number) =>
    encodeInode(inodeOf({ kind: "block-device", device: { major, minor } }), around).readUInt32LE(20);
  assert.equal(encoded(259, 0x12345), 0x1231_0345);
  assert.equal(encoded(0xfff, 0xfffff), 0xffff_ffff);
  assert.throws(() => encoded(4096, 0), /\/a is device 4096:0, which squashfs cannot hold/);
});

test("a folder with a long listing, an index or attributes needs the extended form", () => {
  const listing = { start: { block: 1, offset: 2 }, size: 65_532, index: [] };
  const typeOf = (other: object, xattrs = none) =>
    encodeInode(inodeOf({ kind: "folder" }), { ...around, xattrs, listing: { ...listing, ...other } }).readUInt16LE(0);
  assert.equal(typeOf({}), 1);
  assert.equal(typeOf({ size: 65_533 }), 8);
  assert.equal(typeOf({ index: [{ position: 8000, block: 100, name: "x" }] }), 8);
  assert.equal(typeOf({}, 0), 8);
});

test("times before 1970 become 1970; those after 2106 are refused", () => {
  assert.equal(encodeInode(inodeOf({ mtime: -5 }), around).readUInt32LE(8), 0);
  assert.equal(encodeInode(inodeOf({ mtime: 2 ** 32 - 1 }), around).readUInt32LE(8), 2 ** 32 - 1);
  assert.throws(
    () => encodeInode(inodeOf({ mtime: 2 ** 32 }), around),
    /\/a was changed 4294967296 seconds after 1970/,
  );
});

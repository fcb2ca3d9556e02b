import assert from "node:assert/strict";
import { test } from "node:test";
import { unpackTar } from "modern-tar";
import { ByteReader } from "../../lib/byte-reader.ts";
import { cpioToTar } from "./cpio-to-tar.ts";
import { scanCpio } from "./scan-cpio.ts";

interface Entry {
  readonly name: string;
  readonly mode?: number;
  readonly content?: string;
  readonly ino?: number;
  readonly links?: number;
}

/** cpio(5): newc. */
function newc(entries: readonly Entry[]): Buffer {
  const all = [...entries, { name: "TRAILER!!!", mode: 0 }];
  const parts = all.map(({ name, mode = 0o100644, content = "", ino = 1, links = 1 }: Entry) => {
    const numbers = [ino, mode, 7, 8, links, 1_700_000_000, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${numbers.map((value) => value.toString(16).padStart(8, "0")).join("")}${name}\0`;
    const pad = (text: string) => text.padEnd(Math.ceil(text.length / 4) * 4, "\0");
    return Buffer.from(pad(head) + pad(content), "latin1");
  });
  return Buffer.concat(parts);
}

async function* pieces(bytes: Buffer, size = 61): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const readerOf = (...parts: readonly Buffer[]) => new ByteReader(pieces(Buffer.concat(parts)));
const early = newc([
  { name: "kernel", mode: 0o40755 },
  { name: "kernel/x86/microcode/GenuineIntel.bin", content: "12345" },
]);
const root = newc([
  { name: "etc", mode: 0o40755 },
  { name: "etc/motd", content: "hello" },
]);

test("archives that stand behind each other are told apart, and where none begins", async () => {
  const rest = Buffer.from("1f8b0800", "hex");
  const scan = await scanCpio(readerOf(early, Buffer.alloc(508), root, Buffer.alloc(4), rest));
  assert.deepEqual(scan.members, [
    { entries: 2, tops: ["kernel"], early: true },
    { entries: 2, tops: ["etc"], early: false },
  ]);
  assert.equal(scan.rest, early.length + 508 + root.length + 4);
});

test("devices, paths that leave the tree, and cut ends are refused", async () => {
  await assert.rejects(scanCpio(readerOf(newc([{ name: "dev/sda", mode: 0o60600 }]))), /1 unsafe entry$/);
  await assert.rejects(scanCpio(readerOf(newc([{ name: "../x" }]))), /1 unsafe entry$/);
  await assert.rejects(scanCpio(readerOf(newc([{ name: "etc/a\0b" }]))), /damaged/);
  for (const end of [50, 112, 130, root.length - 8]) {
    await assert.rejects(scanCpio(readerOf(root.subarray(0, end))), /the archive is truncated/, String(end));
  }
  await assert.rejects(
    scanCpio(readerOf(Buffer.from(root.toString("latin1").replace("070701", "070701zz")))),
    /damaged/,
  );
});

test("as tar, names of one file are links, wherever its content stands; long names and empty files too", async () => {
  const long = `etc/${"x".repeat(150)}`;
  const member = newc([
    { name: "etc/a", ino: 5, links: 2 },
    { name: "etc/empty-1", ino: 6, links: 2 },
    { name: "etc/empty-2", ino: 6, links: 2 },
    { name: "etc/b", ino: 5, links: 2, content: "both" },
    { name: long, content: "long" },
    { name: "bin", mode: 0o120777, content: "usr/bin" },
  ]);
  const chunks: Buffer[] = [];
  await cpioToTar(readerOf(early, member), 1, async (bytes) => void chunks.push(Buffer.from(bytes)));
  const entries = await unpackTar(Buffer.concat(chunks), { strict: true });
  assert.deepEqual(
    entries.map(({ header, data }) => [header.name, header.type, header.linkname, Buffer.from(data ?? []).toString()]),
    [
      ["etc/b", "file", "", "both"],
      ["etc/a", "link", "etc/b", ""],
      [long, "file", "", "long"],
      ["bin", "symlink", "usr/bin", ""],
      ["etc/empty-1", "file", "", ""],
      ["etc/empty-2", "link", "etc/empty-1", ""],
    ],
  );
  assert.deepEqual([entries[0]?.header.uid, entries[0]?.header.gid, entries[0]?.header.mode], [7, 8, 0o644]);
  assert.equal(entries[0]?.header.mtime?.getTime(), 1_700_000_000_000);
});

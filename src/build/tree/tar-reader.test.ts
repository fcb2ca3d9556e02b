import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../../lib/byte-reader.ts";
import { failureOf } from "../../lib/failure-of.ts";
import { inPieces, patchTar, tarEntry as entry, tarOf } from "./plant-tar.ts";
import { readTar, type TarHeader } from "./tar-reader.ts";
import { tarHeaders } from "./tar.ts";

const told = { name: "the archive", hint: "make it again" };

async function read(archive: Buffer): Promise<TarHeader[]> {
  const headers: TarHeader[] = [];
  for await (const header of readTar(new ByteReader(inPieces(archive)), told)) headers.push(header);
  return headers;
}

async function refusal(archive: Buffer): Promise<string> {
  const error = await failureOf(read(archive));
  assert.deepEqual([error.code, error.hint], ["invalid_input", "make it again"]);
  return error.message;
}

const record = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`;
  const digits = String(rest.length + 2).length;
  return `${rest.length + digits}${rest}`;
};

/** An extended header before a plain file `innocent`, of 4 bytes where nothing else is said. */
async function withPax(records: string, type: "x" | "g" | "L" | "K" = "x", content = "text"): Promise<Buffer> {
  const named = await tarOf(entry("header", "file", "", records), entry("innocent", "file", "", content));
  return patchTar(named, 0, { 156: type });
}

/** Without its end mark. */
const opened = (archive: Buffer) => archive.subarray(0, -1024);
const plain = (path: string, size = 0) => ({ type: "file", path, link: "", size });
const simple = await tarOf(entry("innocent", "file", "", "text"), entry("second"));

test("entries of every type are read, also behind contents that fill their blocks", async () => {
  const archive = await tarOf(
    entry("./", "directory"),
    entry("a", "file", "", "x".repeat(512)),
    entry("b", "file", "", "x".repeat(1500)),
    entry("c", "link", "a"),
    entry("d", "symlink", "../a"),
    entry("e", "fifo"),
    entry("f", "character-device"),
    entry("g", "block-device"),
  );
  assert.deepEqual(await read(archive), [
    { type: "folder", path: "./", link: "", size: 0 },
    plain("a", 512),
    plain("b", 1500),
    { type: "hard link", path: "c", link: "a", size: 0 },
    { type: "symbolic link", path: "d", link: "../a", size: 0 },
    { type: "fifo", path: "e", link: "", size: 0 },
    { type: "character device", path: "f", link: "", size: 0 },
    { type: "block device", path: "g", link: "", size: 0 },
  ]);
});

test("what tarHeaders writes is read back, byte for byte", async () => {
  const common = { mode: 0o644, uid: 3_000_000, gid: 0, mtime: -1 };
  const odd = "etc/\xe9\n=\x01";
  const archive = Buffer.concat([
    tarHeaders({ ...common, path: odd, type: "file", size: 0, xattrs: new Map([["user.a", Buffer.from([0, 255])]]) }),
    tarHeaders({ ...common, path: "x/".repeat(200), type: "folder", size: 0 }),
    tarHeaders({ ...common, path: "l", type: "symbolic link", size: 0, link: "\xff".repeat(300) }),
    tarHeaders({ ...common, path: "last", type: "block device", size: 0, device: { major: 8, minor: 1 } }),
    Buffer.alloc(1024),
  ]);
  assert.deepEqual(await read(archive), [
    plain(odd),
    { type: "folder", path: "x/".repeat(200), link: "", size: 0 },
    { type: "symbolic link", path: "l", link: "\xff".repeat(300), size: 0 },
    { type: "block device", path: "last", link: "", size: 0 },
  ]);
});

test("what an extended header says is what counts", async () => {
  assert.deepEqual(await read(await withPax(record("path", "../x") + record("mtime", "1.5"))), [plain("../x", 4)]);
  assert.deepEqual(await read(await withPax(record("linkpath", "../x"))), [{ ...plain("innocent", 4), link: "../x" }]);
  // The size of the header does not count beside one that is announced.
  const sized = patchTar(await withPax(record("size", "4")), 1024, { 124: "00000000000\0" });
  assert.deepEqual(await read(sized), [plain("innocent", 4)]);
  const attribute = record("SCHILY.xattr.security.capability", "\x01\x00\x00\x02");
  assert.deepEqual(await read(await withPax(attribute)), [plain("innocent", 4)]);
  assert.deepEqual(await read(await withPax(record("comment", "0123abcd"), "g")), [plain("innocent", 4)]);
});

test("long names of GNU tar, sizes with a first byte of 0x80, and folders that are told by their name", async () => {
  assert.deepEqual(await read(await withPax(`${"n".repeat(200)}\0`, "L")), [plain("n".repeat(200), 4)]);
  assert.deepEqual(await read(await withPax("target\0", "K")), [{ ...plain("innocent", 4), link: "target" }]);
  const binary = patchTar(simple, 0, { 124: `\x80${"\0".repeat(10)}\x04` });
  assert.deepEqual(await read(binary), [plain("innocent", 4), plain("second")]);
  const old = patchTar(await tarOf(entry("old")), 0, { 0: "old/", 257: "\0".repeat(8) });
  assert.deepEqual(await read(old), [{ type: "folder", path: "old/", link: "", size: 0 }]);
});

test("a label of the archive is an entry, in either form", async () => {
  const label = { type: "volume label", path: "backup", link: "", size: 0 };
  const old = { 124: "\0".repeat(12), 156: "V", 257: "\0".repeat(8) };
  assert.deepEqual(await read(patchTar(await tarOf(entry("backup")), 0, old)), [label]);
  const global = await withPax(record("GNU.volume.label", "backup"), "g");
  assert.deepEqual(await read(global), [label, plain("innocent", 4)]);
});

const numbers = (...all: number[]) => all.map((value) => `${value.toString(8).padStart(11, "0")}\0`).join("");
const gnu = { 156: "S", 257: "ustar  \0" };
const block = "x".repeat(512);

/** A file with holes in GNU's old format, whose map goes on in the blocks that are given. */
async function oldSparse(fields: Readonly<Record<number, string>>, ...more: Buffer[]): Promise<Buffer> {
  const archive = patchTar(await tarOf(entry("holes", "file", "", block + block)), 0, { ...gnu, ...fields });
  const next = await tarOf(entry("next"));
  return Buffer.concat([archive.subarray(0, 512), ...more, opened(archive.subarray(512)), next]);
}

/** Another block of its map. */
const mapBlock = (map: string, more = "\0") => Buffer.from(map.padEnd(504, "\0") + more + "\0".repeat(7), "latin1");

const holes = { type: "sparse file", path: "holes", link: "", size: 1024 };
const four = numbers(0, 512, 4096, 0, 8192, 0, 16384, 0);

test("a file with holes has as many bytes as its pieces, in GNU's old format", async () => {
  for (const archive of [
    await oldSparse({ 386: numbers(4096, 1000) }),
    await oldSparse({ 386: four, 482: "\x01" }, mapBlock(numbers(32768, 400))),
    await oldSparse({ 386: four, 482: "\x01" }, mapBlock(numbers(0, 0).repeat(21), "\x01"), mapBlock(numbers(1, 1))),
  ]) {
    assert.deepEqual(await read(archive), [holes, plain("next")]);
  }
  for (const [archive, message] of [
    [await oldSparse({ 386: numbers(0, 512) }), /the map of a sparse file and its size do not agree/],
    [await oldSparse({ 386: numbers(0, 512, 1024, 513) }), /do not agree/],
    [await oldSparse({ 386: numbers(0, 1024), 482: "\x01" }, mapBlock("")), /a malformed map of a sparse file/],
    [await oldSparse({ 386: `${numbers(0)}12345678901x` }), /a malformed map of a sparse file/],
    [await oldSparse({ 386: numbers(0, 1024), 257: "ustar\x0000" }), /"holes" has the unknown type "S"/],
    [await oldSparse({ 386: numbers(0, 1024), 0: "holes/" }), /"holes\/" is a sparse file that readers take in/],
  ] as const) {
    assert.match(await refusal(archive), message);
  }
  const cut = (await oldSparse({ 386: four, 482: "\x01" }, mapBlock(numbers(1, 1)))).subarray(0, 700);
  assert.match(await refusal(cut), /is truncated: a header is cut off after 700 bytes$/);
});

/** Records of a file with holes, keys and values in turn. */
const sparse = (...records: string[]) =>
  records.map((key, at) => (at % 2 === 0 ? record(`GNU.sparse.${key}`, records[at + 1] ?? "") : "")).join("");
const version1 = sparse("major", "1", "minor", "0", "name", "holes", "realsize", "5000");
const filled = (text: string) => text.padEnd(Math.ceil(text.length / 512) * 512, "\0");

test("a file with holes is read in all three versions of extended headers, under its true name", async () => {
  const content = block + "y".repeat(488);
  const pairs = sparse("numblocks", "2", "offset", "0", "numbytes", "512", "offset", "4096", "numbytes", "488");
  assert.deepEqual(await read(await withPax(pairs, "x", content)), [{ ...holes, path: "innocent", size: 1000 }]);
  const list = sparse("map", "0,512,4096,488", "name", "holes", "size", "5000") + record("path", "other");
  assert.deepEqual(await read(await withPax(list, "x", content)), [{ ...holes, size: 1000 }]);
  // A map of 80 pieces, of which only the last two are not empty, takes two blocks.
  const map = filled(`80\n${"1000\n0\n".repeat(78)}0\n512\n4096\n488\n`);
  assert.equal(map.length, 1024);
  assert.deepEqual(await read(await withPax(version1, "x", map + content)), [{ ...holes, size: 2024 }]);
});

test("a file with holes is refused where readers of its map would go on at different places", async () => {
  for (const [records, content, message] of [
    [sparse("map", "0,512"), "text".repeat(200), /the map of a sparse file and its size do not agree/],
    [sparse("map", "0,512,1024"), block, /a malformed map of a sparse file/],
    [sparse("map", "0,0x200"), block, /a malformed map of a sparse file: "0x200"/],
    [sparse("map", "0,512", "offset", "0", "numbytes", "512"), block, /a malformed map/],
    [sparse("numbytes", "512", "offset", "0"), block, /a malformed map/],
    [sparse("name", "holes"), block, /a malformed map/],
    [sparse("major", "2", "minor", "0"), block, /a malformed map/],
    [sparse("major", "1.0"), filled("0\n"), /a malformed map/],
    [sparse("map", "0,0", "minor", "0"), "", /a malformed map/],
    [version1, `${filled("1\n0\n513\n")}${block}`, /do not agree/],
    [version1, filled("1\n0\n"), /a malformed map/],
    [version1, filled("1\n0\n0\n0\n"), /a malformed map/],
    [version1, `${filled("1\n0\n512\n0\n512\n")}${block}${block}`, /a malformed map/],
    [version1, filled("one\n"), /a malformed map of a sparse file: "one"/],
    [version1, "1\n0\n0\n", /the content of an entry is cut off/],
    [sparse("map", "0,0", "name", "holes/"), "", /"holes\/" is a sparse file that readers take in different ways/],
  ] as const) {
    const archive = await withPax(records, "x", content);
    const cut = content === "1\n0\n0\n" ? archive.subarray(0, 1536 + 6) : archive;
    assert.match(await refusal(cut), message, records);
  }
  const named = await withPax(sparse("map", "0,0"), "x", "");
  for (const fields of [{ 156: "5" }, { 257: "ustar  \0" }, { 476: "0" }]) {
    assert.match(await refusal(patchTar(named, 1024, fields)), /"innocent" is a sparse file that readers take in/);
  }
});

const refused: readonly (readonly [string, Buffer, RegExp])[] = [
  ["nothing at all", Buffer.alloc(0), /is truncated: it has no end mark after 0 bytes$/],
  ["no tar archive", Buffer.from("text".repeat(256)), /the checksum of a header is wrong \(before byte 512\)$/],
  ["cut off in a header", simple.subarray(0, 1500), /is truncated: a header is cut off after 1500 bytes$/],
  ["cut off in an extended header", (await withPax(record("path", "a"))).subarray(0, 514), /: a header is cut off/],
  ["cut off in a file", simple.subarray(0, 514), /is truncated: the content of an entry is cut off after 514 bytes$/],
  ["cut off between entries", simple.subarray(0, 1024), /is truncated: it has no end mark after 1024 bytes$/],
  ["without its second empty block", simple.subarray(0, 2048), /its end mark is cut off after 2048 bytes$/],
  ["an empty header", Buffer.concat([Buffer.alloc(512), simple]), /an empty header is followed by another one/],
  ["a wrong checksum", Buffer.from(simple).fill("x", 0, 1), /the checksum of a header is wrong/],
  ["data behind the end", Buffer.concat([simple, simple]), /there are data behind its end/],
  // Readers that do not skip the content of a folder see headers in it that GNU tar does not see, and the other way.
  ["a folder with content", patchTar(simple, 0, { 156: "5" }), /"innocent" is a folder with content/],
  ["a symbolic link with content", patchTar(simple, 0, { 156: "2" }), /is a symbolic link with content/],
  ["a hard link with content", patchTar(simple, 0, { 156: "1" }), /is a hard link with content/],
  ["a label with content", patchTar(simple, 0, { 156: "V" }), /is a volume label with content/],
  [
    "a folder by its name, with content",
    patchTar(simple, 0, { 0: "inno/\0\0\0" }),
    /"inno\/" is a folder with content/,
  ],
  ["a contiguous file", patchTar(simple, 0, { 156: "7" }), /"innocent" has the unknown type "7"/],
  ["a folder of an incremental archive", patchTar(simple, 0, { 156: "D" }), /the unknown type "D"/],
  ["a file of another volume", patchTar(simple, 0, { 156: "M" }), /the unknown type "M"/],
  ["a size that is no number", patchTar(simple, 0, { 124: "0000000000x\0" }), /malformed size/],
  ["a size without digits", patchTar(simple, 0, { 124: "\0".repeat(12) }), /malformed size/],
  ["an impossible size", patchTar(simple, 0, { 124: `\x80${"\xff".repeat(11)}` }), /an entry of an impossible size/],
  ["a negative size", patchTar(simple, 0, { 124: "\xff".repeat(12) }), /malformed size/],
  ["an unknown format", patchTar(simple, 0, { 257: "USTAR\0" }), /unknown format/],
  ["a path for all entries", await withPax(record("path", "../x"), "g"), /a header for all entries, with path/],
  [
    "an incremental archive",
    await withPax(record("GNU.dumpdir", "Da\0\0")),
    /its headers have GNU.dumpdir, which is not read/,
  ],
  [
    "another volume",
    await withPax(record("GNU.volume.size", "1")),
    /its headers have GNU.volume.size, which is not read/,
  ],
  ["a path twice", await withPax(record("path", "a") + record("path", "b")), /has path twice/],
  ["a path with a zero byte", await withPax(record("path", "a\0b")), /malformed path/],
  ["an empty path", await withPax(record("path", "")), /malformed path/],
  ["a size with a sign", await withPax(record("size", "-1")), /malformed size/],
  ["a key that is not UTF-8", (await withPax("6 k=v\n")).fill(0xe9, 514, 515), /the name "é" is not UTF-8/],
  ["a record that is too long", await withPax("99 path=a\n"), /malformed extended header/],
  ["a record without an end", await withPax("9 path=a\0\0"), /malformed extended header/],
  ["a key behind two blanks", await withPax("11  path=a\n"), /malformed extended header/],
  ["a key with a zero byte", await withPax("12 path\0=aa\n"), /malformed extended header/],
  ["a record of no length", await withPax("0 path=a\n"), /malformed/],
  // GNU tar reads such a name on to the next zero byte, wherever its size says that it ends.
  ["a long name without its end", await withPax("innocent", "L"), /a long name that does not end where it should/],
  ["a long link without its end", await withPax("innocent", "K"), /a long name that does not end where it should/],
  ["a long name with two ends", await withPax("a\0b\0", "L"), /a long name that does not end where it should/],
  ["an empty long name", await withPax("\0", "L"), /a long name that does not end where it should/],
  [
    "a long name of two megabytes",
    patchTar(simple, 0, { 124: "00010000000\0", 156: "L" }),
    /2097152 bytes is too large/,
  ],
  [
    "a long name twice",
    Buffer.concat([(await withPax("a\0", "L")).subarray(0, 1024), await withPax("b\0", "L")]),
    /the path of an entry is given twice: a and b/,
  ],
  [
    "a long name for nothing",
    Buffer.concat([(await withPax("a\0", "L")).subarray(0, 1024), Buffer.alloc(1024)]),
    /its last entry is missing/,
  ],
  [
    "an extended header for nothing",
    Buffer.concat([(await withPax(record("mtime", "1"))).subarray(0, 1024), Buffer.alloc(1024)]),
    /its last entry is missing/,
  ],
  // GNU tar forgets what the first one says.
  [
    "two extended headers",
    Buffer.concat([(await withPax(record("path", "a"))).subarray(0, 1024), await withPax(record("mtime", "1"))]),
    /an entry has too many headers/,
  ],
  [
    "a header for all behind one for an entry",
    Buffer.concat([(await withPax("a\0", "L")).subarray(0, 1024), await withPax(record("comment", "b"), "g")]),
    /an entry has too many headers/,
  ],
];
for (const [name, archive, message] of refused) {
  test(`refused as damaged or ambiguous: ${name}`, async () => {
    const found = await refusal(archive);
    assert.match(
      found,
      /^the archive is (truncated: .* after \d+ bytes|no tar archive, or a damaged one: .* \(before byte \d+\))$/,
    );
    assert.match(found, message);
  });
}

test("a failing stream keeps its own error", async () => {
  const failure = new Error("gone");
  const failing = async function* () {
    yield simple.subarray(0, 512);
    throw failure;
  };
  const headers = readTar(new ByteReader(failing()), told);
  await headers.next();
  await assert.rejects(headers.next(), failure);
});

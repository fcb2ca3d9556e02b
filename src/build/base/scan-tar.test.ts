import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { packTar, type TarEntry } from "modern-tar";
import { NetkilnError } from "../../lib/errors.ts";
import { emptyTree, scanTar, type ScannedTree } from "./scan-tar.ts";

type Kind = NonNullable<TarEntry["header"]["type"]>;
const entry = (name: string, type: Kind = "file", linkname = "", body = ""): TarEntry => ({
  header: { name, type, size: body.length, linkname, mtime: new Date(0) },
  body,
});
const folder = (name: string) => entry(name, "directory");
const pack = async (...entries: TarEntry[]) => Buffer.from(await packTar(entries));
const streamOf = (archive: Buffer) => Readable.from([archive.subarray(0, 700), archive.subarray(700)]);
const scan = (archive: Buffer, below?: ScannedTree) =>
  scanTar(streamOf(archive), { whiteouts: true, name: "layer 1", ...(below !== undefined && { below }) });

/** Changes the header that begins at `at` and makes its checksum right again. */
function patch(archive: Buffer, at: number, field: number, bytes: string): Buffer {
  const changed = Buffer.from(archive);
  changed.write(bytes, at + field, "latin1");
  changed.write("        ", at + 148, "latin1");
  const sum = changed.subarray(at, at + 512).reduce((all, byte) => all + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  return changed;
}
const record = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`;
  const digits = String(rest.length + 2).length;
  return `${rest.length + digits}${rest}`;
};
/** An extended header before a plain file `innocent` of 4 bytes. */
async function withPax(content: string, type: "x" | "g" | "L" | "K" = "x"): Promise<Buffer> {
  const named = await pack(entry("header", "file", "", content), entry("innocent", "file", "", "text"));
  return patch(named, 0, 156, type);
}

async function refusal(archive: Buffer, below?: ScannedTree): Promise<NetkilnError> {
  const error = await scan(archive, below).then(
    () => assert.fail("it was taken"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof NetkilnError, String(error));
  assert.equal(error.code, "invalid_input");
  return error;
}

test("an ordinary archive is taken: folders, files, links inside it, long names", async () => {
  const long = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(120)}`;
  const archive = await pack(
    folder("./"),
    folder("usr/"),
    entry("usr/a", "file", "", "text"),
    entry("usr/b", "link", "usr/a"),
    entry("lib", "symlink", "usr/lib"),
    entry("etc/mtab", "symlink", "../../../proc/mounts"),
    entry(long, "file", "", "long"),
  );
  assert.deepEqual(await scan(archive), { entries: 7, size: 8, replaced: [], removed: [], emptied: [] });
});

const refused: readonly (readonly [string, TarEntry[], RegExp])[] = [
  ["an absolute path", [entry("/etc/passwd")], /^entry "\/etc\/passwd": its path is absolute$/],
  ["a path that leaves the tree", [entry("a/../../b")], /^entry "a\/..\/..\/b": its path has "\.\."$/],
  ["a folder that leaves the tree", [folder("../")], /its path has "\.\."$/],
  ["a character device", [entry("dev/null", "character-device")], /^entry "dev\/null": it is a character device$/],
  ["a block device", [entry("dev/sda", "block-device")], /it is a block device$/],
  [
    "a path through a symbolic link",
    [entry("out", "symlink", "/etc"), entry("out/passwd")],
    /^entry "out\/passwd": the path goes through the symbolic link "out"$/,
  ],
  [
    "a path through a symbolic link, with detours",
    [entry("a/out", "symlink", ".."), entry("./a//./out/x")],
    /the path goes through the symbolic link "a\/out"$/,
  ],
  [
    "a folder below a symbolic link",
    [entry("out", "symlink", "/etc"), folder("out/x/")],
    /goes through the symbolic link/,
  ],
  ["a hard link out of the tree", [entry("a", "link", "../x")], /a hard link to "..\/x", and its path has "\.\."$/],
  ["an absolute hard link", [entry("a", "link", "/etc/shadow")], /and its path is absolute$/],
  ["a hard link to what is not there", [entry("a", "link", "b")], /a hard link to "b", which is not there$/],
  ["a hard link to a folder", [folder("b/"), entry("a", "link", "b")], /a hard link to the folder "b"$/],
  [
    "a hard link through a symbolic link",
    [entry("out", "symlink", "/etc"), entry("a", "link", "out/shadow")],
    /and the path goes through the symbolic link "out"$/,
  ],
  [
    "a path through a hard link to a symbolic link",
    [entry("out", "symlink", "/etc"), entry("again", "link", "out"), entry("again/passwd")],
    /goes through the symbolic link "again"$/,
  ],
  ["a path below a file", [entry("a"), entry("a/b")], /goes through "a", which is no folder$/],
  ["a folder that becomes a link", [folder("a/"), entry("a", "symlink", "/etc")], /as a folder and as something else$/],
  ["a link that becomes a folder", [entry("a", "symlink", "/etc"), folder("a/")], /as a folder and as something else$/],
  ["a root that is a link", [entry("./", "symlink", "/etc")], /it stands for the root, and is no folder$/],
  ["a whiteout of no name", [entry("a/.wh.")], /it is a whiteout of no name$/],
  ["a whiteout of the folder itself", [entry("a/.wh..")], /it is a whiteout of no name$/],
  ["a whiteout of the folder above", [entry("a/.wh...")], /it is a whiteout of no name$/],
  ["a whiteout with content", [entry("a/.wh.b", "file", "", "x")], /it is a whiteout, and no empty file$/],
  ["a whiteout through a link", [entry("l", "symlink", "/etc"), entry("l/.wh.passwd")], /the symbolic link "l"$/],
  ["something below a whiteout", [entry(".wh.a/b")], /it stands below a whiteout$/],
];
for (const [name, entries, message] of refused) {
  test(`refused: ${name}`, async () => {
    const { problems } = await refusal(await pack(...entries));
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", message);
  });
}

test("all unsafe entries are told at once, and what to do", async () => {
  const error = await refusal(await pack(entry("/a"), entry("b"), entry("c/../d"), entry("dev/x", "block-device")));
  assert.equal(error.message, "layer 1 is refused: 3 unsafe entries");
  assert.match(error.hint ?? "", /without its devices/);
  const many = await refusal(await pack(...Array.from({ length: 30 }, (_, index) => entry(`/${index}`))));
  assert.equal(many.message, "layer 1 is refused: at least 20 unsafe entries");
});

const simple = await pack(entry("innocent", "file", "", "text"), entry("second"));
const ambiguous: readonly (readonly [string, Buffer, RegExp])[] = [
  ["nothing at all", Buffer.alloc(0), /it is cut off/],
  ["no tar archive", Buffer.from("text".repeat(256)), /it has a malformed size|checksum/],
  ["cut off in a header", simple.subarray(0, 700), /it is cut off/],
  ["cut off in a file", simple.subarray(0, 514), /it is cut off/],
  ["cut off between entries", simple.subarray(0, 1024), /it is cut off/],
  ["without its second empty block", simple.subarray(0, 2048), /it is cut off/],
  ["a wrong checksum", Buffer.from(simple).fill("x", 0, 1), /the checksum of a header is wrong/],
  ["data behind the end", Buffer.concat([simple, simple]), /there are data behind its end/],
  // Readers that do not skip the content of a folder see headers in it that GNU tar does not see, and the other way.
  [
    "a folder with content",
    patch(await pack(entry("a", "file", "", "x".repeat(512))), 0, 156, "5"),
    /"a" is a directory with content/,
  ],
  ["a symbolic link with content", patch(simple, 0, 156, "2"), /is a symlink with content/],
  ["a hard link with content", patch(simple, 0, 156, "1"), /is a link with content/],
  ["a folder by its name, with content", patch(simple, 0, 0, "inno/\0\0\0"), /"inno\/" is a directory with content/],
  ["an old sparse file", patch(simple, 0, 156, "S"), /unknown type "S" \(a sparse file of GNU tar\)/],
  ["a volume header", patch(simple, 0, 156, "V"), /unknown type "V"/],
  ["a size that is no number", patch(simple, 0, 124, "0000000000x\0"), /malformed size/],
  ["a size without digits", patch(simple, 0, 124, "\0".repeat(12)), /malformed size/],
  ["an impossible size", patch(simple, 0, 124, `\x80${"\xff".repeat(11)}`), /impossible size/],
  ["a negative size", patch(simple, 0, 124, "\xff".repeat(12)), /malformed size/],
  ["a name that is not UTF-8", patch(simple, 0, 0, "\xe9\0"), /the name "é" is not UTF-8/],
  ["an unknown format", patch(simple, 0, 257, "USTAR\0"), /unknown format/],
  ["a sparse file of pax", await withPax(record("GNU.sparse.name", "/etc/passwd")), /GNU.sparse.name/],
  ["a path for all entries", await withPax(record("path", "../x"), "g"), /a header for all entries, with path/],
  ["a path twice", await withPax(record("path", "a") + record("path", "b")), /has path twice/],
  ["a path with a zero byte", await withPax(record("path", "a\0b")), /malformed path/],
  ["an empty path", await withPax(record("path", "")), /malformed path/],
  ["a size with a sign", await withPax(record("size", "-1")), /malformed size/],
  ["a record that is too long", await withPax("99 path=a\n"), /malformed extended header/],
  ["a record without an end", await withPax("9 path=a\0\0"), /malformed extended header/],
  ["a record of no length", await withPax("0 path=a\n"), /malformed/],
  // GNU tar reads such a name on to the next zero byte, wherever its size says that it ends.
  ["a long name without its end", await withPax("innocent", "L"), /a long name that does not end where it should/],
  ["a long link without its end", await withPax("innocent", "K"), /a long name that does not end where it should/],
  ["a long name with two ends", await withPax("a\0b\0", "L"), /a long name that does not end where it should/],
  ["an empty long name", await withPax("\0", "L"), /a long name that does not end where it should/],
  [
    "a long name twice",
    Buffer.concat([(await withPax("a\0", "L")).subarray(0, 1024), await withPax("b\0", "L")]),
    /path of an entry is given twice: a and b/,
  ],
  [
    "a long name for nothing",
    Buffer.concat([(await withPax("a\0", "L")).subarray(0, 1024), Buffer.alloc(1024)]),
    /its last entry is missing/,
  ],
];
for (const [name, archive, message] of ambiguous) {
  test(`refused as ambiguous or damaged: ${name}`, async () => {
    const error = await refusal(archive);
    assert.match(error.message, /^layer 1 is no tar archive, or a damaged one: /);
    assert.match(error.message, message);
  });
}

test("what an extended header says is what counts", async () => {
  const { problems } = await refusal(await withPax(record("path", "../../etc/passwd") + record("mtime", "1.5")));
  assert.match(problems[0]?.message ?? "", /^entry "..\/..\/etc\/passwd": its path has/);
  assert.equal((await scan(await withPax(record("SCHILY.xattr.security.capability", "\x01\x00\x00\x02")))).entries, 1);
  assert.equal((await scan(await withPax(record("comment", "0123abcd"), "g"))).entries, 1);
});

test("a failing stream keeps its own error", async () => {
  const failure = new NetkilnError("unreachable", "gone");
  const failing = async function* () {
    yield simple.subarray(0, 512);
    throw failure;
  };
  await assert.rejects(scanTar(failing(), { whiteouts: false }), failure);
});

test("without whiteouts their names are names of files", async () => {
  const archive = await pack(entry("a/.wh.b", "file", "", "x"), entry(".wh..wh..opq"));
  assert.deepEqual(await scanTar(streamOf(archive), { whiteouts: false }), {
    entries: 2,
    size: 1,
    replaced: [],
    removed: [],
    emptied: [],
  });
});

test("a layer removes and replaces what is below, and cannot go through its links", async () => {
  const below = emptyTree();
  await scan(
    await pack(
      entry("a/old"),
      entry("b/old"),
      entry("file"),
      entry("link", "symlink", "/etc"),
      entry("x"),
      folder("full/"),
    ),
    below,
  );
  const second = await pack(
    entry("a/.wh.old"),
    entry("a/.wh.never"),
    folder("b/"),
    entry("b/new"),
    entry("b/.wh..wh..opq"),
    folder("file/"),
    entry("file/in"),
    folder("link/"),
    entry("link/in"),
    entry("y", "link", "x"),
    entry("x"),
    entry("full", "symlink", "/"),
  );
  const found = await scan(second, below);
  assert.deepEqual(found.removed, ["a/old", "a/never"]);
  assert.deepEqual(found.emptied, ["b"]);
  assert.deepEqual(found.replaced, ["file", "link", "x", "full"]);

  const third = await refusal(await pack(entry("full/etc/passwd"), entry("z", "link", "b/old")), below);
  assert.deepEqual(
    third.problems.map(({ message }) => message),
    [
      'entry "full/etc/passwd": the path goes through the symbolic link "full"',
      'entry "z": it is a hard link to "b/old", which is not there',
    ],
  );
});

test("a whiteout hides only what is below, wherever in the layer it stands", async () => {
  const below = emptyTree();
  await scan(await pack(entry("a/old"), entry("a/deep/old"), entry("b", "symlink", "/etc")), below);
  await scan(await pack(entry("a/new"), entry(".wh.a"), entry(".wh.b"), folder("b/"), entry("b/in")), below);
  const third = await refusal(await pack(entry("l1", "link", "a/old"), entry("l2", "link", "a/new")), below);
  assert.deepEqual(
    third.problems.map(({ message }) => message),
    ['entry "l1": it is a hard link to "a/old", which is not there'],
  );
});

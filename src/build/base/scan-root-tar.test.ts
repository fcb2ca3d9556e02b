import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../../lib/byte-reader.ts";
import { failureOf } from "../../lib/failure-of.ts";
import { inPieces, patchTar, tarEntry as entry, tarOf, type PlantedEntry } from "../tree/plant-tar.ts";
import { scanRootTar } from "./scan-root-tar.ts";

const scan = (bytes: Buffer) => scanRootTar(new ByteReader(inPieces(bytes)));

async function refusal(...entries: PlantedEntry[]): Promise<string> {
  const error = await failureOf(scan(await tarOf(...entries)));
  return error.problems.map(({ message }) => message).join("\n");
}

test("entries are counted, and the first components of their paths are told", async () => {
  const archive = await tarOf(
    entry("./", "directory"),
    entry("./etc/", "directory"),
    entry("./etc/motd", "file", "", "x".repeat(1500)),
    entry("./etc/linked", "link", "./etc/motd"),
    entry("bin", "symlink", "/usr/bin"),
    entry(`usr/${"long/".repeat(60)}name`, "file", "", "abc"),
  );
  assert.deepEqual(await scan(archive), { entries: 6, tops: ["bin", "etc", "usr"] });
});

test("what would be written outside the tree is refused, with its name", async () => {
  assert.equal(await refusal(entry("a/../../b")), 'entry "a/../../b": its path has ".."');
  assert.equal(await refusal(entry("/etc/x")), 'entry "/etc/x": its path is absolute');
  assert.match(await refusal(entry(`/${"x/".repeat(200)}y`)), /x\/y": its path is absolute$/);
  assert.equal(await refusal(entry("./", "symlink", "/etc")), 'entry "./": it stands for the root, and is no folder');
  for (const target of ["/etc/passwd", "../passwd", "a/../../passwd", "."]) {
    assert.equal(
      await refusal(entry("a", "link", target)),
      `entry "a": it is a hard link that leaves the tree, to "${target}"`,
    );
  }
});

test("symbolic links of the archive are not gone through, until something else takes their place", async () => {
  const link = entry("l", "symlink", "/tmp");
  assert.equal(
    await refusal(link, entry("./l/x")),
    'entry "./l/x": its path goes through the symbolic link "l" of the archive',
  );
  assert.equal(
    await refusal(link, entry("hard", "link", "l/passwd")),
    'entry "hard": it is a hard link through the symbolic link "l"',
  );
  assert.equal(
    await refusal(link, entry("again", "link", "./l"), entry("again/x")),
    'entry "again/x": its path goes through the symbolic link "again" of the archive',
  );
  assert.equal((await scan(await tarOf(link, entry("l", "directory"), entry("l/x")))).entries, 3);
});

test("names that are not UTF-8 are told from each other", async () => {
  const other = patchTar(await tarOf(entry("?")), 0, { 0: "\xe8" }).subarray(0, 512);
  const through = patchTar(await tarOf(entry("?/x")), 0, { 0: "\xe9" });
  const link = patchTar(await tarOf(entry("?", "symlink", "/tmp")), 0, { 0: "\xe9" }).subarray(0, 512);
  assert.equal((await scan(Buffer.concat([other, through]))).entries, 2);
  await assert.rejects(scan(Buffer.concat([link, other, through])), /the archive is refused: 1 unsafe entry$/);
});

test("files with holes and the label of an archive are taken", async () => {
  const archive = await tarOf(entry("label"), entry("etc/holes"));
  const sparse = patchTar(patchTar(archive, 0, { 156: "V" }), 512, { 156: "S", 257: "ustar  \0" });
  assert.deepEqual(await scan(sparse), { entries: 1, tops: ["etc"] });
});

test("whiteouts belong to layers only", async () => {
  const archive = await tarOf(entry("etc/.wh.passwd"), entry("var/.wh..wh..opq"));
  await assert.rejects(scan(archive), /the archive is refused: 2 unsafe entries/);
});

test("a thousand device nodes are told in ten lines and a number", async () => {
  const devices = Array.from({ length: 1000 }, (_, index) => entry(`dev/${index}`, "block-device"));
  const error = await failureOf(scan(await tarOf(...devices)));
  assert.equal(error.message, "the archive is refused: 1000 unsafe entries (the first 10 are shown)");
  assert.equal(error.problems.length, 10);
  assert.match(error.hint ?? "", /^device nodes are made at boot/);
});

test("a damaged archive is refused with what can be done", async () => {
  const archive = await tarOf(entry("etc/a", "file", "", "x".repeat(700)), entry("etc/b"));
  const error = await failureOf(scan(archive.subarray(0, 1000)));
  assert.equal(error.message, "the archive is truncated: the content of an entry is cut off after 1000 bytes");
  assert.match(error.hint ?? "", /^copy it again/);
});

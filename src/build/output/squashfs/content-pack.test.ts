import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { sha256 } from "../../../lib/files.ts";
import { packContent } from "./content-pack.ts";
import { dataBlockSize, none, storedLength } from "./format.ts";
import { openPack, type Pack } from "./pack-index.ts";
import type { ContentFile } from "./plan-blocks.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-pack-"));
after(() => rm(root, { recursive: true }));
let number = 0;

async function fileOf(content: Buffer | string): Promise<ContentFile> {
  number += 1;
  const place = join(root, `file${number}`);
  await writeFile(place, content);
  return { sha256: sha256(content), size: Buffer.byteLength(content), place };
}

/** Bytes that cannot be compressed, the same each time. */
function noise(length: number, seed: string): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 64) }, (_, part) =>
    createHash("sha512").update(`${seed} ${part}`).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

async function pack(files: readonly ContentFile[], threads = 2): Promise<Pack> {
  number += 1;
  const file = join(root, `pack${number}`);
  const { size } = await packContent(files, file, { level: 1, threads });
  assert.equal(size, readFileSync(file).length);
  return openPack(file);
}

function decode(bytes: Buffer, start: number, word: number): Buffer {
  const stored = bytes.subarray(start, start + storedLength(word));
  return word & (1 << 24) ? stored : zstdDecompressSync(stored);
}

/** Content as a reader of the image would put it together. */
function contentOf({ file, contents, fragments }: Pack, sha256: string): Buffer {
  const bytes = readFileSync(file);
  const { size, start, words, fragment, offset } = contents.get(sha256) ?? assert.fail("it is not in the pack");
  if (fragment !== none) {
    const { start, word } = fragments[fragment] ?? assert.fail("there is no such fragment");
    return decode(bytes, start, word).subarray(offset, offset + size);
  }
  let at = start;
  const blocks = words.map((word) => {
    const block = word === 0 ? Buffer.alloc(dataBlockSize) : decode(bytes, at, word);
    at += storedLength(word);
    return block;
  });
  return Buffer.concat(blocks).subarray(0, size);
}

const contents = [
  Buffer.from("small"),
  noise(dataBlockSize - 1, "a"),
  Buffer.alloc(dataBlockSize, "exactly one block "),
  noise(dataBlockSize + 1, "b"),
  Buffer.concat([Buffer.alloc(3 * dataBlockSize, "long "), Buffer.alloc(2 * dataBlockSize), Buffer.from("end")]),
  Buffer.alloc(2 * dataBlockSize + 5),
  Buffer.alloc(100),
  ...Array.from({ length: 600 }, (_, file) => Buffer.from(`file ${file} `.repeat(file + 1))),
];
const files = await Promise.all(contents.map(fileOf));

test("a pack gives back every content", async () => {
  const made = await pack(files);
  for (const [index, file] of files.entries()) {
    assert.ok(contentOf(made, file.sha256).equals(contents[index] as Buffer), `content ${index}`);
  }
});

test("small contents share fragments, larger ones have blocks of their own, zeros are holes", async () => {
  const made = await pack(files);
  const found = files.slice(0, 7).map(({ sha256 }) => made.contents.get(sha256));
  assert.deepEqual(
    found.map((content) => (content?.fragment === none ? content.words.length : "fragment")),
    ["fragment", "fragment", 1, 2, 6, 3, "fragment"],
  );
  assert.deepEqual(found[5]?.words, [0, 0, 0]);
  assert.deepEqual(found[4]?.words.slice(3, 5), [0, 0]);
  assert.equal(found[3]?.words[0], dataBlockSize | (1 << 24));
  assert.ok(made.fragments.every(({ word }) => storedLength(word) > 0));
});

test("the number of threads changes nothing", async () => {
  const [one, two] = [await pack(files, 1), await pack(files, 2)];
  assert.ok(readFileSync(one.file).equals(readFileSync(two.file)));
});

test("equal contents are stored once, empty ones not at all", async () => {
  const content = noise(200_000, "c");
  const once = await pack([await fileOf(content)]);
  const twice = await pack([await fileOf(content), await fileOf(""), await fileOf(content)]);
  assert.ok(readFileSync(once.file).equals(readFileSync(twice.file)));
  assert.deepEqual((await pack([])).contents, new Map());
});

test("a file that has changed, or is gone, fails the pack", async () => {
  const file = await fileOf("as it was listed");
  await assert.rejects(pack([{ ...file, size: 10 }]), {
    code: "internal",
    message: `${file.place} has 16 bytes; it had 10 when it was listed`,
  });
  await assert.rejects(pack([{ ...file, place: `${file.place}-gone` }]), { code: "internal", message: /ENOENT/ });
});

test("a file that is no pack, or a part of one, is refused", async () => {
  const made = await pack(files.slice(0, 3));
  const bytes = readFileSync(made.file);
  for (const part of [bytes.subarray(0, -1), bytes.subarray(1), Buffer.alloc(0), Buffer.alloc(100)]) {
    const file = join(root, "part");
    await writeFile(file, part);
    assert.throws(() => openPack(file), { code: "internal", message: `${file} is not a whole content pack` });
  }
});

/** The scan of tar headers against the real GNU tar: what one takes, the other must see in the same way. Needs root. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { emptyTree, scanLayerTar } from "../../src/build/base/scan-layer-tar.ts";
import { scanRootTar } from "../../src/build/base/scan-root-tar.ts";
import { inPieces, patchTar } from "../../src/build/tree/plant-tar.ts";
import { isTarHeader, readTar } from "../../src/build/tree/tar-reader.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const run = promisify(execFile);
let folder: string;
let tree: string;

before(async () => {
  folder = await makeFolder();
  tree = join(folder, "tree");
  await mkdir(tree);
  const script = `cd "$1"; mkdir -p a/b c; echo text > a/file; ln a/file a/hard; ln -s file a/soft; ln -s / c/root
    long=$(printf 'x%.0s' $(seq 90)); mkdir -p $long/$long; echo long > $long/$long/$long; ln -s $long/$long/$long long
    head -c 5000 /dev/urandom > c/random; setfattr -n user.a -v b a/file; : > c/empty; touch -d @1.5 c/empty
    mkdir sparse; truncate -s 1M sparse/hole; echo text > sparse/next
    for piece in 0 1 2 3 4 5; do echo piece | dd of=sparse/pieces bs=64k seek=$piece conv=notrunc status=none; done`;
  await tool("sh", "-euc", script, "sh", tree);
});
after(() => rm(folder, { recursive: true }));

/** First letters of a long listing, as GNU tar prints them. */
const letters = {
  file: "-",
  "sparse file": "-",
  "hard link": "h",
  "symbolic link": "l",
  "character device": "c",
  "block device": "b",
  folder: "d",
  fifo: "p",
  "volume label": "V",
} as const;
const withoutSlash = (name: string) => name.replace(/\/+$/, "");
/** As GNU tar's `--quoting-style=escape` prints what is not printable in the test's archives. */
const escaped = (name: string) =>
  name
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll(/[^ -~]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);

/** Types and names, as GNU tar lists them; undefined when it fails. */
async function listed(file: string): Promise<string[] | undefined> {
  const list = async (verbose: string) => {
    const argv = [verbose, "--quoting-style=escape", "--absolute-names", "--file", file];
    const { stdout } = await run("tar", argv, { env: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" } });
    return stdout.split("\n").slice(0, -1);
  };
  const lists = await Promise.all([list("-t"), list("-tv")]).catch(() => undefined);
  return lists?.[0].map((name, index) => `${lists[1][index]?.[0]} ${withoutSlash(name)}`);
}

/** Names, as GNU tar unpacks them; undefined when it fails. Of most files with holes it reads the map only then. */
async function unpacked(file: string): Promise<string[] | undefined> {
  const target = await mkdtemp(join(folder, "unpacked-"));
  const argv = ["-C", target, "-xv", "--quoting-style=escape", "--file", file];
  const found = await run("tar", argv, { env: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" } }).catch(
    () => undefined,
  );
  await rm(target, { recursive: true });
  return found?.stdout.split("\n").slice(0, -1).map(withoutSlash);
}

async function read(archive: Buffer): Promise<string[] | undefined> {
  const names: string[] = [];
  try {
    for await (const { path, type } of readTar(new ByteReader(inPieces(archive)), { name: "it", hint: "" })) {
      names.push(`${letters[type]} ${withoutSlash(escaped(path))}`);
    }
  } catch {
    return undefined;
  }
  return names;
}

const withoutLong = ["--exclude=xxx*", "--exclude=long"];
for (const [form, options] of [
  ["gnu", []],
  ["pax", ["--xattrs"]],
  ["ustar", withoutLong],
  ["oldgnu", []],
  ["v7", withoutLong],
  ["gnu", ["--sparse"]],
  ["pax", ["--sparse", "--sparse-version=0.0"]],
  ["pax", ["--sparse", "--sparse-version=0.1"]],
  ["pax", ["--sparse", "--sparse-version=1.0"]],
] as const) {
  const sparse = options[0] === "--sparse";
  const name = [form, ...options.filter((option) => option.startsWith("--sparse"))].join(" ");
  const pack = async () => {
    const file = join(folder, `${name}.tar`);
    await tool("tar", `--format=${form}`, ...options, "-C", join(tree, sparse ? "sparse" : "."), "-cf", file, ".");
    return file;
  };

  test(`an archive that GNU tar writes in the format ${name} is read with the same names`, async () => {
    const file = await pack();
    const names = await listed(file);
    assert.deepEqual(await read(await readFile(file)), names);
    const { entries } = await scanRootTar(new ByteReader(createReadStream(file)));
    assert.equal(entries, names?.length);
    const layer = scanLayerTar(createReadStream(file), { name: "it", below: emptyTree() });
    if (!sparse) assert.equal((await layer).entries, names?.length);
    else await assert.rejects(layer, /^NetkilnError: it is refused: 2 unsafe entries$/);
  });

  test(`changed at random, no archive in the format ${name} means one thing here and another to GNU tar`, async () => {
    const original = await readFile(await pack());
    const file = join(folder, "changed.tar");
    let taken = 0;
    for (let round = 0; round < 120; round += 1) {
      const changed = change(original, round);
      const names = await read(changed);
      if (names === undefined) continue;
      await writeFile(file, changed);
      const found = await listed(file);
      // What GNU tar does not take fails when it is unpacked.
      if (found === undefined) continue;
      taken += 1;
      assert.deepEqual(found, names, `round ${round}`);
      if (!sparse) continue;
      const written = await unpacked(file);
      if (written !== undefined)
        assert.deepEqual(
          written,
          names.map((line) => line.slice(2)),
          `round ${round}`,
        );
    }
    assert.ok(taken > 10, `only ${taken} were compared`);
  });
}

/** Some bytes of one header become others, and its checksum is right again. Always the same for the same seed. */
function change(original: Buffer, seed: number): Buffer {
  const changed = Buffer.from(original);
  let state = seed * 2_654_435_761 + 1;
  const next = (limit: number) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0;
    return (state >>> 8) % limit;
  };
  const headers: number[] = [];
  for (let at = 0; at + 512 <= changed.length; at += 512)
    if (isTarHeader(changed.subarray(at, at + 512))) headers.push(at);
  const at = headers[next(headers.length)] ?? 0;
  // Where headers differ in meaning: the end of the name, mode, size, type, link, magic, prefix, sparse map.
  const fields = [0, 99, 100, 124, 128, 134, 135, 156, 156, 156, 157, 257, 262, 263, 345, 398, 408, 482];
  const values = [0, 0x20, 0x2f, 0x2e, 0x30, 0x31, 0x35, 0x37, 0x44, 0x4c, 0x53, 0x56, 0x78, 0x67, 0x80, 0xff];
  for (let count = 1 + next(2); count > 0; count -= 1) {
    changed[at + (fields[next(fields.length)] ?? 0)] = values[next(values.length)] ?? 0;
  }
  // What stands behind a header, which may be more of it.
  if (next(3) === 0) changed[at + 512 + next(600)] = values[next(values.length)] ?? 0;
  return patchTar(changed, at, {});
}

test("the label of an archive is read in both formats, and part of no layer", async () => {
  for (const form of ["gnu", "pax"]) {
    const file = join(folder, `label-${form}.tar`);
    await tool("tar", `--format=${form}`, "--label=name", "-C", join(tree, "a"), "-cf", file, ".");
    assert.equal((await read(await readFile(file)))?.[0], "V name");
    assert.equal((await scanRootTar(new ByteReader(createReadStream(file)))).entries, 5);
    const layer = scanLayerTar(createReadStream(file), { name: "it", below: emptyTree() });
    await assert.rejects(layer, /^NetkilnError: it is refused: 1 unsafe entry$/);
  }
});

/** The scan of tar headers against the real GNU tar: what one takes, the other must see in the same way. Needs root. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { scanTar } from "../../src/build/base/scan-tar.ts";
import { readTarEntries } from "../../src/build/base/tar-headers.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
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
    head -c 5000 /dev/urandom > c/random; setfattr -n user.a -v b a/file; : > c/empty; touch -d @1.5 c/empty`;
  await tool("sh", "-euc", script, "sh", tree);
});
after(() => rm(folder, { recursive: true }));

/** First letters of a long listing, as GNU tar prints them. */
const letters = {
  file: "-",
  link: "h",
  symlink: "l",
  "character device": "c",
  "block device": "b",
  directory: "d",
  fifo: "p",
} as const;
const withoutSlash = (name: string) => name.replace(/\/+$/, "");
/** As GNU tar's `--quoting-style=escape` prints what is not printable in the test's archives. */
const escaped = (name: string) => name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");

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

async function read(archive: Buffer): Promise<string[] | undefined> {
  const names: string[] = [];
  try {
    for await (const { path, type } of readTarEntries(Readable.from([archive]))) {
      names.push(`${letters[type]} ${withoutSlash(escaped(path))}`);
    }
  } catch {
    return undefined;
  }
  return names;
}

for (const format of ["gnu", "pax", "ustar", "oldgnu", "v7"]) {
  const xattrs = format === "pax" ? ["--xattrs"] : [];
  const short = format === "v7" || format === "ustar" ? ["--exclude=xxx*", "--exclude=long"] : [];
  const pack = async () => {
    const file = join(folder, `${format}.tar`);
    await tool("tar", `--format=${format}`, ...xattrs, ...short, "-C", tree, "-cf", file, ".");
    return file;
  };

  test(`an archive that GNU tar writes in the format ${format} is taken, with the same names`, async () => {
    const file = await pack();
    const { entries } = await scanTar(createReadStream(file), { whiteouts: true });
    const names = await listed(file);
    assert.equal(entries, names?.length);
    assert.deepEqual(await read(await readFile(file)), names);
  });

  test(`changed at random, no archive in the format ${format} means one thing here and another to GNU tar`, async () => {
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
    if (isHeader(changed.subarray(at, at + 512))) headers.push(at);
  const at = headers[next(headers.length)] ?? 0;
  // Where headers differ in meaning: the end of the name, mode, size, type, link, magic, prefix.
  const fields = [0, 99, 100, 124, 128, 134, 135, 156, 156, 156, 157, 257, 262, 263, 345, 482];
  const values = [0, 0x20, 0x2f, 0x2e, 0x30, 0x31, 0x35, 0x37, 0x44, 0x4c, 0x53, 0x56, 0x78, 0x67, 0x80, 0xff];
  for (let count = 1 + next(2); count > 0; count -= 1) {
    changed[at + (fields[next(fields.length)] ?? 0)] = values[next(values.length)] ?? 0;
  }
  // What stands behind a header, which may be more of it.
  if (next(3) === 0) changed[at + 512 + next(600)] = values[next(values.length)] ?? 0;
  changed.write("        ", at + 148, "latin1");
  const sum = changed.subarray(at, at + 512).reduce((all, byte) => all + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  return changed;
}

function isHeader(block: Buffer): boolean {
  const sum = block.reduce((all, byte, index) => all + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  return block[0] !== 0 && Number.parseInt(block.toString("latin1", 148, 154), 8) === sum;
}

test("sparse files and archives of several volumes are refused", async () => {
  const sparse = join(folder, "sparse");
  await mkdir(sparse);
  await tool("truncate", "--size=1M", join(sparse, "hole"));
  for (const format of ["gnu", "pax"]) {
    const file = join(folder, `sparse-${format}.tar`);
    await tool("tar", `--format=${format}`, "--sparse", "-C", sparse, "-cf", file, ".");
    await assert.rejects(scanTar(createReadStream(file), { whiteouts: false }), /sparse/);
  }
  const volume = join(folder, "volume.tar");
  await tool("tar", "--label=name", "-C", sparse, "-cf", volume, ".");
  await assert.rejects(scanTar(createReadStream(volume), { whiteouts: false }), NetkilnError);
});

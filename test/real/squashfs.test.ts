/**
 * Our squashfs images as the kernel and unsquashfs read them, and beside those that mksquashfs makes of the same tree,
 * which has all that is hard to keep. Needs root and loop devices.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, link, lutimes, mkdir, open, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { TreeEntry } from "../../src/build/output/squashfs/entry.ts";
import { writeSquashfs } from "../../src/build/output/squashfs/image.ts";
import { openPack, type Pack } from "../../src/build/output/squashfs/pack-index.ts";
import { toBuffer } from "../../src/build/tree/byte-paths.ts";
import { listTree } from "../../src/build/tree/list.ts";
import { wholeSeconds } from "../../src/build/tree/stack.ts";
import { run } from "../../src/lib/exec.ts";
import { digestFile, sha256 } from "../../src/lib/files.ts";
import { kindOf } from "../support/entry-kind.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const epoch = 1_750_000_000;
const block = 131_072;
const program = fileURLToPath(new URL("../../src/build/inside/pack-content.ts", import.meta.url));
let folder: string;
let mounts = 0;

before(async () => {
  folder = await makeFolder();
});
after(() => rm(folder, { recursive: true }));

/** Bytes that cannot be compressed, the same each time. */
function noise(length: number, seed: string): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 64) }, (_, part) =>
    createHash("sha512").update(`${seed} ${part}`).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

type Placed = TreeEntry & { readonly place: string };

async function entriesOf(tree: string): Promise<Placed[]> {
  const listed = await listTree(tree);
  return listed.map((found) => {
    const { path, place, stats, link, xattrs } = found;
    const kind = kindOf(found);
    const isDevice = kind === "block-device" || kind === "character-device";
    return {
      ...{ path, place, kind, xattrs, mode: Number(stats.mode & 0o7777n), mtime: wholeSeconds(stats) },
      ...{ uid: Number(stats.uid), gid: Number(stats.gid), size: kind === "file" ? Number(stats.size) : 0 },
      ...(link !== undefined && { link }),
      ...(isDevice && { device: { major: Number(stats.rdev >> 8n), minor: Number(stats.rdev & 0xffn) } }),
      ...(kind === "file" && { sha256: sha256(readFileSync(toBuffer(place))) }),
      ...(kind !== "folder" && stats.nlink > 1n && { inode: String(stats.ino) }),
    };
  });
}

/** Packs the contents of some entries, with the program that builds run. */
async function packOf(entries: readonly Placed[], name: string, level = 1): Promise<Pack> {
  const pack = join(folder, name);
  const files = entries
    .filter(({ kind }) => kind === "file")
    .map(({ sha256, size, place }) => ({ sha256, size, place }))
    .sort((a, b) => (a.place < b.place ? -1 : 1));
  await run([process.execPath, program], { input: JSON.stringify({ files, pack, level }) });
  return openPack(pack);
}

/** All that there is to know about what a tree has at each path; times and owners included. */
async function describeTree(tree: string): Promise<Map<string, object>> {
  const entries = await entriesOf(tree);
  const sharing = new Map<string, string[]>();
  for (const { path, inode } of entries) {
    if (inode !== undefined) sharing.set(inode, [...(sharing.get(inode) ?? []), path].sort());
  }
  const described = entries.map(({ inode, xattrs, ...entry }): [string, object] => [
    entry.path,
    {
      ...entry,
      place: "",
      names: inode === undefined ? [] : sharing.get(inode),
      xattrs: [...xattrs]
        .filter(([name]) => !name.startsWith("system."))
        .map(([name, value]) => `${name}=${value.toString("hex")}`)
        .sort(),
    },
  ]);
  return new Map(described.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function mounted<T>(image: string, look: (tree: string) => Promise<T>): Promise<T> {
  mounts += 1;
  const place = join(folder, `mount${mounts}`);
  await mkdir(place);
  await tool("mount", "-t", "squashfs", "-o", "loop,ro", image, place);
  try {
    return await look(place);
  } finally {
    await tool("umount", place);
  }
}

async function unpacked(image: string): Promise<string> {
  const place = `${image}.unpacked`;
  const { stderr } = await run(["unsquashfs", "-no-progress", "-d", place, image]);
  assert.equal(stderr, "");
  return place;
}

async function makeImage(name: string, entries: readonly TreeEntry[], packs: readonly Pack[], level = 1) {
  const image = join(folder, name);
  const { size } = await writeSquashfs(entries, packs, image, { epoch, level });
  assert.equal(size, readFileSync(image).length);
  assert.equal(size % 4096, 0);
  return image;
}

const files: readonly (readonly [path: string, content: string | Buffer, mode: number])[] = [
  ["empty", "", 0o600],
  ["usr/bin/su", "set user id", 0o4755],
  ["usr/bin/capable", "raw sockets", 0o2755],
  ["usr/share/block", Buffer.alloc(block, "block "), 0o644],
  ["usr/share/block-less", noise(block - 1, "less"), 0o644],
  ["usr/share/block-more", noise(block + 1, "more"), 0o644],
  ["usr/share/noise", noise(1_000_000, "noise"), 0o444],
  ["usr/share/large", "a line of the large file\n".repeat(125_829), 0o644],
  ["usr/share/zeros", Buffer.alloc(2 * block + 100), 0o644],
  ["usr/share/sticky/same", "a line of the large file\n".repeat(125_829), 0o644],
  ["etc/name with spaces, ä", "x", 0o640],
  ["etc/acl", "with an access list", 0o644],
];

async function plantTree(tree: string): Promise<void> {
  for (const [path, content, mode] of files) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
    await chmod(join(tree, path), mode);
  }
  await writeFile(Buffer.concat([Buffer.from(`${tree}/etc/`), Buffer.from([0xff, 0x0a, 0xe4])]), "not UTF-8");
  const sparse = await open(join(tree, "usr/share/sparse"), "w");
  await sparse.write("begin", 0);
  await sparse.write("end", 5 * block + 77);
  await sparse.close();
  await mkdir(join(tree, "many"));
  for (let number = 0; number < 3000; number += 1) {
    await writeFile(join(tree, `many/a file with a long name ${number * 7919}`), `${number % 1000}\n`);
  }
  await mkdir(join(tree, Array.from({ length: 120 }, () => "deep").join("/")), { recursive: true });
  await mkdir(join(tree, "empty-folder"), { mode: 0o1777 });
  await symlink("../etc/nowhere", join(tree, "usr/link"));
  await link(join(tree, "usr/share/noise"), join(tree, "etc/noise"));
  await link(join(tree, "usr/bin/su"), join(tree, "zz-su"));
  await link(join(tree, "usr/bin/su"), join(tree, "many/a-su"));
  await link(join(tree, "usr/link"), join(tree, "etc/link"));
  await plantSocket(join(tree, "run-socket"));
  await tool("sh", "-euc", specials, tree);
  for (const path of ["usr/link", "usr/share", "many", "empty", ""]) {
    await lutimes(join(tree, path), 1_000_000, 1_234_567_890 + path.length);
  }
}

/** Devices, owners and attributes; an access list is an attribute that squashfs has no place for. */
const specials = `cd "$0"
  mknod null c 1 3; mknod disk b 259 17; mkfifo -m 620 fifo; mkdir -p attributes
  chown 4321:100 etc/acl; chown -h 70000:5 usr/link; chmod 1777 usr/share/sticky; chmod 2750 attributes
  setcap cap_net_raw+ep usr/bin/capable
  setfattr -n user.one -v 1 empty; setfattr -n user.one -v 1 usr/share/large; setfattr -n user.two -v 2 attributes
  setfattr -n user.two -v 2 empty; setfattr -n trusted.kept -v 0x00ff disk; setfattr -n user.empty usr/share/block
  setfattr -n system.posix_acl_access etc/acl \\
    -v 0x0200000001000600ffffffff020004000100000004000400ffffffff10000400ffffffff20000400ffffffff`;

/** A server that ends takes its socket away, unless it has another name by then. */
async function plantSocket(place: string): Promise<void> {
  const server = createServer().listen(`${place}.new`);
  await once(server, "listening");
  await rename(`${place}.new`, place);
  server.close();
}

describe("an image of a tree with everything", { timeout: 300_000 }, () => {
  let tree: string;
  let entries: Placed[];
  let pack: Pack;
  let image: string;
  let expected: Map<string, object>;

  before(async () => {
    tree = join(folder, "tree");
    await plantTree(tree);
    entries = await entriesOf(tree);
    pack = await packOf(entries, "pack");
    image = await makeImage("image", entries, [pack]);
    expected = await describeTree(tree);
  });

  test("the kernel shows the tree: content, owners, modes, times, attributes, links, devices", async () => {
    const found = await mounted(image, describeTree);
    for (const [path, entry] of expected) assert.deepEqual(found.get(path), entry, path);
    assert.equal(found.size, expected.size);
  });

  test("the kernel counts the names of files, the folders in folders, and the holes", async () => {
    const seen = await mounted(image, async (place) => {
      const listed = await listTree(place);
      return new Map(listed.map(({ path, stats }) => [path, stats]));
    });
    const of = (path: string) => [Number(seen.get(path)?.nlink), Number(seen.get(path)?.blocks)];
    assert.equal(of("usr/bin/su")[0], 3);
    assert.equal(of("etc/link")[0], 2);
    assert.equal(of("usr")[0], 4);
    assert.equal(of("many")[0], 2);
    assert.deepEqual(of("usr/share/zeros"), [1, 0]);
    assert.equal(seen.get("usr/share/zeros")?.size, BigInt(2 * block + 100));
    assert.equal(seen.get("zz-su")?.ino, seen.get("usr/bin/su")?.ino);
  });

  test("unsquashfs unpacks the tree", async () => {
    const found = await describeTree(await unpacked(image));
    for (const [path, entry] of expected) assert.deepEqual(found.get(path), entry, path);
    assert.equal(found.size, expected.size);
  });

  test("it is what mksquashfs makes of the tree, but for where things are", async () => {
    const theirs = join(folder, "theirs");
    const argv = ["-comp", "zstd", "-Xcompression-level", "1", "-noappend", "-xattrs", "-no-progress"] as const;
    await run(["mksquashfs", tree, theirs, ...argv]);
    const list = async (file: string) => {
      const { stdout } = await run(["unsquashfs", "-lln", file]);
      // Sizes of folders are those of their listings, which depend on the order of the inodes.
      return stdout.replaceAll(/^(d\S+ \S+) +\d+/gm, "$1").split("\n");
    };
    assert.deepEqual(await list(image), await list(theirs));
    assert.deepEqual(await mounted(image, describeTree), await mounted(theirs, describeTree));
    const [ours, size] = [readFileSync(image).length, readFileSync(theirs).length];
    assert.ok(ours <= size * 1.02, `${ours} bytes, with mksquashfs ${size}`);
  });

  test("the same tree gives the same bytes, whose digests are told", async () => {
    const again = join(folder, "again");
    const reversed = [...entries].reverse();
    const digests = await writeSquashfs(reversed, [pack], again, { epoch, level: 1 });
    const { sha256 } = await digestFile(image);
    assert.deepEqual(await digestFile(again), digests);
    assert.equal(digests.sha256, sha256);
  });

  test("at other levels it is the same tree", async () => {
    const small = entries.filter(({ path }) => !path.startsWith("many/") && !path.startsWith("usr/share/"));
    for (const level of [15, 22]) {
      const other = await makeImage(`image${level}`, small, [await packOf(small, `pack${level}`, level)], level);
      const found = await mounted(other, describeTree);
      assert.deepEqual(found.get("usr/bin/capable"), expected.get("usr/bin/capable"));
      const { stdout } = await run(["unsquashfs", "-s", other]);
      assert.match(stdout, /Compression zstd/);
      assert.equal(stdout.includes("compression-level 22"), level === 22, "15 is what all take without being told");
    }
  });
});

describe("an image of two layers", { timeout: 60_000 }, () => {
  test("has the content that is visible, and no blocks that only hidden files use", async () => {
    const plant = async (name: string, contents: Readonly<Record<string, Buffer>>) => {
      await mkdir(join(folder, name, "etc"), { recursive: true });
      for (const [path, content] of Object.entries(contents)) await writeFile(join(folder, name, path), content);
      return entriesOf(join(folder, name));
    };
    const hidden = noise(300_000, "hidden");
    const small = noise(100_000, "small and hidden");
    const sharing = noise(10_000, "hidden, in a block with what stays");
    const stays = noise(200_000, "stays");
    const lower = await plant("lower", {
      "etc/a-hidden": small,
      "etc/b-stays": Buffer.concat([noise(1000, "beside"), Buffer.alloc(50_000)]),
      "etc/c-hidden": sharing,
      "etc/hidden": hidden,
      "etc/stays": stays,
    });
    const upper = await plant("upper", {
      "etc/hidden": Buffer.from("seen"),
      "etc/a-hidden": noise(140_000, "seen"),
      "etc/c-hidden": Buffer.from("seen too"),
    });
    const packs = [await packOf(upper, "upper.pack"), await packOf(lower, "lower.pack")];
    const merged = new Map([...lower, ...upper].map((entry) => [entry.path, entry]));
    const image = await makeImage("layers", [...merged.values()], packs);
    const found = await mounted(image, async (place) =>
      ["hidden", "a-hidden", "b-stays", "c-hidden", "stays"].map((name) =>
        sha256(readFileSync(join(place, "etc", name))),
      ),
    );
    assert.deepEqual(
      found,
      ["hidden", "a-hidden", "b-stays", "c-hidden", "stays"].map((name) => merged.get(`etc/${name}`)?.sha256),
    );
    const parts = [hidden, small, sharing, stays].map((content) => content.subarray(1000, 2000));
    const has = (file: string) => parts.map((part) => readFileSync(file).includes(part));
    assert.deepEqual(has(join(folder, "lower.pack")), [true, true, true, true]);
    assert.deepEqual(has(image), [false, false, false, true]);
    await unpacked(image);
  });

  test("without content, names or attributes it is one that kernel and unsquashfs read", async () => {
    const root = { kind: "folder", mode: 0o755, uid: 0, gid: 0, mtime: epoch, size: 0, xattrs: new Map() } as const;
    const empty = await makeImage("empty", [{ ...root, path: "" }], []);
    assert.deepEqual(await mounted(empty, async (place) => readdirSync(place)), []);
    assert.equal((await describeTree(await unpacked(empty))).size, 1);
  });
});

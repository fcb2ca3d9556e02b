/**
 * Root images of a small tree that has all that is hard to keep, packed and read with the real tools; needs root.
 * Everything is packed twice, from copies in different folders whose inodes are in another order.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { chmod, chown, link, lutimes, mkdir, open, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { packCpio } from "../../src/build/output/cpio.ts";
import { erofsCompression, packErofs } from "../../src/build/output/erofs.ts";
import { packContent } from "../../src/build/output/squashfs/content-pack.ts";
import { contentsOf, imageEntries } from "../../src/build/output/squashfs/from-view.ts";
import { writeSquashfs } from "../../src/build/output/squashfs/image.ts";
import { openPack, type Pack } from "../../src/build/output/squashfs/pack-index.ts";
import { makeVerity } from "../../src/build/output/verity.ts";
import type { Sandbox } from "../../src/build/sandbox/sandbox.ts";
import { listLayer } from "../../src/build/tree/listing.ts";
import { viewLayers, type ListedLayer } from "../../src/build/tree/view.ts";
import { digestFile } from "../../src/lib/files.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const epoch = 1_750_000_000;
let folder: string;
/** The same tree twice. */
let copies: readonly [Sandbox, Sandbox];
/** What the tree is, as a mounted overlay shows it. */
let expected: ReadonlyMap<string, string>;

const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index * 7919} of a text\n`).join("");
const noise = (size: number) => {
  const blocks = Array.from({ length: size / 32 }, (_, index) => createHash("sha256").update(String(index)).digest());
  return Buffer.concat(blocks);
};

const files: readonly (readonly [
  path: string,
  content: string | Buffer,
  mode: number,
  owner?: readonly [number, number],
])[] = [
  ["usr/sbin/init", "#!/bin/sh\n", 0o755],
  ["usr/bin/raw", "raw sockets", 0o755],
  ["usr/bin/su", "set user id", 0o4755],
  ["usr/share/large", lines, 0o644],
  ["usr/share/noise", noise(1_000_000), 0o644],
  ["usr/share/same", lines, 0o644],
  ["etc/empty", "", 0o000],
  ["etc/name with spaces, ä and\nmore", "x", 0o640, [4321, 12]],
  ["etc/gone", "a layer above removes it", 0o644],
  ["etc/changed", "below", 0o644],
  ["etc/replaced/old", "hidden by an opaque folder", 0o644],
  ["var/lib/shared", "public", 0o664, [1000, 50]],
];

async function makeLayers(name: string, reversed: boolean): Promise<Sandbox> {
  const layers = join(folder, name);
  const put = async (layer: string, path: string, content: string | Buffer, mode: number, owner = [0, 0] as const) => {
    const file = join(layers, layer, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chown(file, ...(owner as [number, number]));
    await chmod(file, mode);
  };
  for (const [path, content, mode, owner] of reversed ? files.toReversed() : files) {
    await put("base", path, content, mode, owner as readonly [0, 0]);
  }
  const at = (path: string) => join(layers, "base", path);
  await symlink("usr/sbin", at("sbin"));
  await symlink("/nowhere", at("etc/dangling"));
  await link(at("var/lib/shared"), at("etc/first-link"));
  await link(at("var/lib/shared"), at("usr/last-link"));
  await tool("setcap", "cap_net_raw,cap_net_admin+ep", at("usr/bin/raw"));
  await tool("setfattr", "-n", "user.origin", "-v", "kiln", at("usr/share/noise"));
  await tool("mkfifo", at("var/lib/fifo"));
  await tool("mknod", "-m", "600", at("var/lib/console"), "c", "5", "1");
  await mkdir(at("var/sticky"));
  await chmod(at("var/sticky"), 0o1777);
  await put("top", "etc/changed", "above", 0o600);
  await put("top", "etc/replaced/new", "alone", 0o644);
  await tool("setfattr", "-n", "trusted.overlay.opaque", "-v", "y", join(layers, "top/etc/replaced"));
  await tool("mknod", join(layers, "top/etc/gone"), "c", "0", "0");
  await mkdir(join(layers, "empty"));
  for (const layer of ["base", "top", "empty"]) await setTimes(join(layers, layer));
  const work = join(folder, `${name}-work`);
  await mkdir(work);
  const nothing = { changes: { kind: "none" }, devices: false, network: false } as const;
  return { layers, lower: ["top", "base", "empty"], work, ...nothing };
}

/** As normalise leaves them: none later than the epoch, some earlier. */
async function setTimes(path: string): Promise<void> {
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) await setTimes(join(path, name));
  const time = path.includes("/usr/") ? epoch - 1_000_000 : epoch;
  await lutimes(path, time, time);
}

/** Path, kind and mode, owner, time, names of the same file, and content; a folder's own times are left to it. */
function treeAt(root: string, options: { readonly links: boolean }): Map<string, string> {
  const tree = new Map<string, string>();
  const inodes = new Map<number, string>();
  const visit = (path: string) => {
    const stats = lstatSync(root + path);
    const first = inodes.get(stats.ino) ?? path;
    inodes.set(stats.ino, first);
    const content = stats.isFile()
      ? createHash("sha256")
          .update(readFileSync(root + path))
          .digest("hex")
      : stats.isSymbolicLink()
        ? readlinkSync(root + path)
        : stats.isCharacterDevice()
          ? String(stats.rdev)
          : "";
    const facts = [stats.mode.toString(8), stats.uid, stats.gid, Math.floor(stats.mtimeMs / 1000), content];
    if (options.links && !stats.isDirectory()) facts.push(stats.nlink, first);
    tree.set(path === "" ? "/" : path, facts.join(" "));
    if (stats.isDirectory()) for (const name of readdirSync(root + path).sort()) visit(`${path}/${name}`);
  };
  visit("");
  return tree;
}

before(async () => {
  folder = await makeFolder();
  copies = [await makeLayers("one", false), await makeLayers("two", true)];
  const merged = join(folder, "merged");
  await mkdir(merged);
  const { layers } = copies[0];
  const lower = ["top", "base"].map((layer) => join(layers, layer)).join(":");
  await tool("mount", "-t", "overlay", "-o", `ro,lowerdir=${lower}`, "overlay", merged);
  try {
    expected = treeAt(merged, { links: true });
  } finally {
    await tool("umount", merged);
  }
});
after(() => rm(folder, { recursive: true }));

async function twice(pack: (sandbox: Sandbox) => Promise<string>): Promise<string> {
  const [first, second] = [await pack(copies[0]), await pack(copies[1])];
  assert.equal((await digestFile(first)).sha256, (await digestFile(second)).sha256, "both copies give the same bytes");
  return first;
}

async function unpackFolder(name: string): Promise<string> {
  const target = join(folder, name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target);
  return target;
}

/** In verity's test, too. */
const squashfs = () => twice(squashfsOf);

async function squashfsOf({ layers, lower, work }: Sandbox): Promise<string> {
  const level = 1;
  const listed: ListedLayer[] = [];
  const packs: Pack[] = [];
  for (const name of lower) {
    const layer = { folder: resolve(layers, name), entries: await listLayer(resolve(layers, name)) };
    const pack = join(work, `content-${packs.length}`);
    await rm(pack, { force: true });
    await packContent(contentsOf(layer), pack, { level });
    listed.push(layer);
    packs.push(openPack(pack));
  }
  const file = join(work, "rootfs");
  await rm(file, { force: true });
  await writeSquashfs(imageEntries(viewLayers(listed)), packs, file, { epoch, level });
  return file;
}

test("the tree to pack is what it is meant to be", () => {
  assert.ok(!expected.has("/etc/gone") && !expected.has("/etc/replaced/old"));
  assert.match(expected.get("/var/lib/shared") ?? "", /3 \/etc\/first-link$/);
});

test("squashfs", async () => {
  const target = join(await unpackFolder("squashfs"), "root");
  await tool("unsquashfs", "-no-progress", "-d", target, await squashfs());
  assert.deepEqual(treeAt(target, { links: true }), expected);
  assert.match(await tool("getcap", "-r", target), /\/usr\/bin\/raw cap_net_admin,cap_net_raw=ep/);
});

describe("EROFS", () => {
  let file: string;

  test("is the same from both copies, and fsck.erofs accepts it", async () => {
    const compression = await erofsCompression();
    file = await twice((sandbox) => packErofs(sandbox, { compression, content: "tree", epoch }, {}));
    await tool("fsck.erofs", file);
    const other = await packErofs(copies[1], { compression, content: "another tree", epoch }, {});
    assert.notEqual(await uuidOf(other), await uuidOf(file));
  });

  test("holds content, owners, modes and hard links, and times of each file", async () => {
    const target = await unpackFolder("erofs");
    await tool("fsck.erofs", `--extract=${target}`, "--preserve", "--overwrite", file);
    const got = treeAt(target, { links: false });
    for (const [path, facts] of expected) {
      // fsck.erofs 1.5 leaves out devices and the bits 7000 of modes, and makes hard links to files of their own.
      if (/fifo|console/.test(path)) continue;
      const [mode = "", uid, gid, , content] = facts.split(" ");
      const [foundMode = "", foundUid, foundGid, , foundContent] = (got.get(path) ?? "").split(" ");
      const told = [mode.replace(/[4567](...)$/, "0$1").replace("41777", "40777"), uid, gid, content];
      assert.deepEqual([foundMode.replace("41777", "40777"), foundUid, foundGid, foundContent], told, path);
    }
    const shared = await tool("dump.erofs", "--path=/var/lib/shared", file);
    assert.match(shared, /Links: 3 /);
    assert.equal(nidOf(shared), nidOf(await tool("dump.erofs", "--path=/usr/last-link", file)));
    const setuid = await tool("dump.erofs", "--path=/usr/bin/su", file);
    assert.equal(await modeIn(file, setuid), "104755");
    assert.match(setuid, /Timestamp: 2025-06-04 /);
    assert.match(shared, /Timestamp: 2025-06-15 /);
  });

  test("holds capabilities and other extended attributes", async () => {
    for (const path of ["/usr/bin/raw", "/usr/share/noise"]) {
      const size = /Xattr size: (\d+)/.exec(await tool("dump.erofs", `--path=${path}`, file))?.[1];
      assert.ok(Number(size) > 0, path);
    }
  });
});

async function uuidOf(file: string): Promise<string | undefined> {
  return /Filesystem UUID: +(\S+)/.exec(await tool("dump.erofs", "-s", file))?.[1];
}

/** The tools of 1.5 show nine bits of a mode; all of them are at byte 4 of the inode, which begins at NID * 32. */
async function modeIn(file: string, dump: string): Promise<string> {
  const start = /metadata start block: +(\d+)/.exec(await tool("dump.erofs", "-s", file))?.[1];
  return readFileSync(file)
    .readUInt16LE(Number(start) * 4096 + Number(nidOf(dump)) * 32 + 4)
    .toString(8);
}

function nidOf(dump: string): string | undefined {
  return /NID: (\d+)/.exec(dump)?.[1];
}

/** GNU cpio gives folders and links the time at which it makes them. */
function withoutTimes(tree: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...tree].map(([path, facts]) => [path, facts.replace(/^((?:40|120)\d+ \d+ \d+) \d+/, "$1 -")]));
}

for (const compression of ["gz", "zst"] as const) {
  test(`cpio.${compression} is the same from both copies, and GNU cpio gets the tree out of it`, async () => {
    const said: string[] = [];
    const onLine = (line: string) => void said.push(line);
    const file = await twice((sandbox) => packCpio(sandbox, compression, epoch, { onLine }));
    assert.deepEqual(said.slice(0, 2), [
      "the archive has /init -> sbin/init",
      "/usr/bin/raw loses its capabilities: an initramfs holds no extended attributes",
    ]);
    const archive = join(folder, "plain.cpio");
    const unpack = compression === "gz" ? "gzip -dc" : "zstd -dqc";
    await tool("sh", "-c", `${unpack} "$1" > "$2"`, "unpack", file, archive);
    const listed = await tool("sh", "-c", 'cpio --quiet -t < "$1"', "list", archive);
    assert.deepEqual(listed.split("\n").slice(0, 3), [".", "etc", "etc/changed"]);
    const target = await unpackFolder("cpio");
    await tool("sh", "-c", 'cd "$2" && cpio --quiet -idum < "$1"', "take", archive, target);
    const got = withoutTimes(treeAt(target, { links: true }));
    assert.equal(got.get("/init")?.split(" ")[4], "sbin/init");
    got.delete("/init");
    assert.deepEqual(got, withoutTimes(expected));
    const dates = await tool("sh", "-c", 'cpio --quiet -tvn < "$1"', "list", archive);
    assert.match(dates, /Jun {1,2}4 +2025 usr\/bin\n/);
    assert.match(dates, /Jun 15 +2025 sbin -> usr\/sbin\n/);
  });
}

test("a verity tree is the same for the same data, and tells one flipped bit", async () => {
  const data = await squashfs();
  const { sha256 } = await digestFile(data);
  const trees = [];
  for (const name of ["verity-one", "verity-two"]) {
    trees.push(await makeVerity({ path: data, sha256 }, await unpackFolder(name), {}));
  }
  const [first, second] = trees;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.rootHash, second.rootHash);
  assert.equal((await digestFile(first.file)).sha256, (await digestFile(second.file)).sha256);
  await tool("veritysetup", "verify", data, first.file, first.rootHash);

  const handle = await open(data, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, 300_000);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, 300_000);
  await handle.close();
  await assert.rejects(tool("veritysetup", "verify", data, first.file, first.rootHash), /Verification .*failed/);
});

test("data that end within a block get no verity tree, which would leave the end unprotected", async () => {
  const path = join(folder, "odd");
  await writeFile(path, "x".repeat(5000));
  await assert.rejects(
    makeVerity({ path, sha256: "0" }, folder, {}),
    /needs whole blocks of 4096 bytes, the image has 5000/,
  );
});

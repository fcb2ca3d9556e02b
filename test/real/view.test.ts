/**
 * Layers that real overlay mounts leave after random work, as listings show them, as overlayfs shows them, and as the
 * kernel shows the squashfs images that are made of them. Needs root and loop devices.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { packContent } from "../../src/build/output/squashfs/content-pack.ts";
import type { TreeEntry } from "../../src/build/output/squashfs/entry.ts";
import { contentsOf, imageEntries } from "../../src/build/output/squashfs/from-view.ts";
import { writeSquashfs } from "../../src/build/output/squashfs/image.ts";
import { openPack } from "../../src/build/output/squashfs/pack-index.ts";
import { isText, toBuffer, toBytePath, type BytePath } from "../../src/build/tree/byte-paths.ts";
import { listLayer } from "../../src/build/tree/listing.ts";
import { listTree } from "../../src/build/tree/list.ts";
import { deviceOf, wholeSeconds } from "../../src/build/tree/stack.ts";
import { viewLayers } from "../../src/build/tree/view.ts";
import { xattrsOfTree } from "../../src/build/tree/xattrs.ts";
import { run } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";
import { kindOf } from "../support/entry-kind.ts";
import { makeFolder } from "../support/server.ts";

const seeds = Array.from({ length: 12 }, (_, seed) => seed);
const changesPerLayer = 80;
/** As sandboxes mount trees. */
const options = "metacopy=off,redirect_dir=off,index=off,xino=off,uuid=off";
let folder: string;

before(async () => {
  folder = await makeFolder();
});
after(() => fs.rmSync(folder, { recursive: true }));

interface Chance {
  /** From 0 to `count` - 1. */
  below(count: number): number;
  of<T>(values: readonly [T, ...T[]]): T;
}

function chanceOf(seed: string): Chance {
  let taken = 0;
  const below = (count: number) => {
    taken += 1;
    return createHash("sha256").update(`${seed} ${taken}`).digest().readUInt32LE() % count;
  };
  return { below, of: (values) => values[below(values.length)] ?? values[0] };
}

/** Few, so that the same paths are hit again and again. */
const names = ["a", "b", "c", "a-", "line\nbreak", toBytePath("ä")] as const satisfies readonly BytePath[];
/** No UTF-8. What has such a name may have no extended attributes; a folder has some when it hides another. */
const oddName: BytePath = "\xff\xe4";
const sizes = [0, 1, 100, 5000, 131_071, 131_072, 131_073, 300_000] as const;

function pathIn(chance: Chance): BytePath {
  return Array.from({ length: 1 + chance.below(3) }, () => chance.of(names)).join("/");
}

/** What may fail because something else stands there: then nothing has changed, which is as good. */
const refusals = new Set(
  ["ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY", "EXDEV", "EINVAL", "ELOOP", "EPERM"].concat("ENXIO"),
);

type Change = (place: Buffer, chance: Chance, top: string) => unknown;

const growing: readonly [Change, ...Change[]] = [
  (place) => fs.mkdirSync(place, { recursive: true }),
  (place, chance) => write(place, contentOf(chance)),
  (place, chance) => write(place, contentOf(chance)),
  (place, chance, top) => fs.linkSync(place, placeIn(top, pathIn(chance))),
  (place, chance, top) => {
    write(place, contentOf(chance));
    fs.linkSync(place, placeIn(top, pathIn(chance)));
  },
  (place, chance) => fs.symlinkSync(toBuffer(pathIn(chance)), place),
  (place, chance) => write(Buffer.concat([place, toBuffer(`/${oddName}`)]), contentOf(chance)),
];

const changing: readonly [Change, ...Change[]] = [
  (place) => write(place, Buffer.from("more"), fs.constants.O_APPEND),
  (place, chance) => fs.truncateSync(place, chance.of(sizes)),
  (place) => fs.rmSync(place, { recursive: true }),
  (place) => fs.rmdirSync(place),
  (place) => {
    // In the place of whatever was there.
    fs.rmSync(place, { recursive: true });
    fs.mkdirSync(place);
  },
  (place, chance) => {
    fs.rmSync(place, { recursive: true });
    write(place, contentOf(chance));
  },
  (place, chance, top) => fs.renameSync(place, placeIn(top, pathIn(chance))),
  (place, chance, top) => fs.renameSync(place, placeIn(top, pathIn(chance))),
  (place) => fs.rmSync(Buffer.concat([place, toBuffer(`/${oddName}`)])),
  (place, chance) => fs.chmodSync(place, 0o400 + chance.below(0o7400)),
  (place, chance) => fs.lchownSync(place, chance.below(3) * 40_000, chance.below(3)),
  (place, chance) => fs.lutimesSync(place, 0, chance.of([-5.5, 1.25, 1_700_000_000.999])),
  (place, chance) =>
    tool("mknod", place, ...chance.of([["p"], ["c", "1", "3"], ["b", "259", "70000"], ["b", "0", "0"]])),
  (place, chance) => tool("setfattr", "-h", "-n", chance.of(attributes), "-v", `0x00${chance.below(9)}0`, place),
  (place) => tool("setcap", "cap_net_raw+ep", place),
  plantSocket,
];
const attributes = ["user.one", "user.two", "trusted.three", "security.four"] as const;

/** Does not wait for somebody who reads a pipe. */
function write(place: Buffer, content: Buffer, how = fs.constants.O_TRUNC): void {
  const { O_CREAT, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
  const file = fs.openSync(place, O_CREAT | O_WRONLY | O_NONBLOCK | O_NOFOLLOW | how);
  try {
    fs.writeSync(file, content);
  } finally {
    fs.closeSync(file);
  }
}

function contentOf(chance: Chance): Buffer {
  const size = chance.of(sizes);
  return chance.below(4) === 0 ? Buffer.alloc(size) : Buffer.alloc(size, `content ${chance.below(20)}`);
}

function placeIn(top: string, path: BytePath): Buffer {
  return toBuffer(`${toBytePath(top)}/${path}`);
}

/** With the place as its last word, or before what follows on a kind. Names that are no text cannot be arguments. */
async function tool(program: string, ...words: readonly (string | Buffer)[]): Promise<void> {
  if (words.some((word) => typeof word !== "string" && !isText(word.toString("latin1")))) return;
  await run([program, ...words.map(String)], { okExitCodes: "any" });
}

/** A server that ends takes its socket away, unless it has another name by then. */
async function plantSocket(place: Buffer, _: Chance, top: string): Promise<void> {
  const made = join(top, "new-socket");
  const server = createServer().listen(made);
  await once(server, "listening");
  try {
    fs.renameSync(made, place);
  } finally {
    fs.rmSync(made, { force: true });
    server.close();
  }
}

async function mounted<T>(argv: readonly string[], look: (tree: string) => Promise<T>): Promise<T> {
  const place = join(folder, "mount");
  fs.mkdirSync(place, { recursive: true });
  await run(["mount", ...argv, place]);
  try {
    return await look(place);
  } finally {
    await run(["umount", place]);
  }
}

/** Makes a stack of layers, the topmost first, the lowest as a folder and the others as mounts leave them. */
async function plantLayers(seed: number): Promise<string[]> {
  const root = join(folder, `seed-${seed}`);
  const chance = chanceOf(`seed ${seed}`);
  const work = async (top: string) => {
    for (let done = 0; done < changesPerLayer; done += 1) {
      const path = pathIn(chance);
      const grows = chance.below(2) === 0;
      const change = chance.of(grows ? growing : changing);
      await (async () => {
        if (grows) fs.mkdirSync(placeIn(top, dirname(path)), { recursive: true });
        await change(placeIn(top, path), chance, top);
      })().catch((error: NodeJS.ErrnoException) => {
        if (!refusals.has(error.code ?? "")) throw error;
      });
    }
  };
  const empty = join(root, "empty");
  fs.mkdirSync(empty, { recursive: true });
  const layers: string[] = [];
  for (let number = 0; number < 2 + (seed % 3); number += 1) {
    const layer = join(root, `layer-${number}`);
    const scratch = join(root, `work-${number}`);
    for (const made of [layer, scratch]) fs.mkdirSync(made);
    // The kernel says of an image without any that it cannot have attributes.
    await tool("setfattr", "-n", "user.layer", "-v", `${number}`, layer);
    if (number === 0) await work(layer);
    else {
      const lower = [...layers, empty].join(":");
      const where = `lowerdir=${lower},upperdir=${layer},workdir=${scratch},${options}`;
      await mounted(["-t", "overlay", "-o", where, "overlay"], work);
    }
    layers.unshift(layer);
  }
  return layers;
}

/** All that a tree shows of a path; `names` are those of the same file. */
type Shown = Omit<TreeEntry, "inode" | "xattrs" | "path"> & {
  readonly names: readonly BytePath[];
  readonly xattrs: Readonly<Record<string, string>>;
};

function shown(entries: readonly TreeEntry[]): Record<string, Shown> {
  const names = Map.groupBy(entries, ({ path, inode }) => inode ?? `/${path}`);
  const all = entries.map(({ path, kind, mode, uid, gid, mtime, size, sha256, device, link, inode, xattrs }) => [
    JSON.stringify(path),
    {
      ...{ kind, mode, uid, gid, mtime, size, sha256, device },
      ...(link !== undefined && { link }),
      names: (names.get(inode ?? `/${path}`) ?? []).map((entry) => entry.path).sort(),
      xattrs: Object.fromEntries([...xattrs].map(([name, value]) => [name, value.toString("hex")])),
    },
  ]);
  return Object.fromEntries(all) as Record<string, Shown>;
}

/** What a mount shows, without sockets, which no layer holds. */
async function walk(tree: string): Promise<Record<string, Shown>> {
  const listed = await listTree(tree);
  const entries = listed.map((found): TreeEntry => {
    const { path, place, stats, link, xattrs } = found;
    const kind = kindOf(found);
    return {
      ...{ path, kind, mode: Number(stats.mode & 0o7777n), uid: Number(stats.uid), gid: Number(stats.gid) },
      ...{ mtime: wholeSeconds(stats), size: kind === "file" ? Number(stats.size) : 0, xattrs: xattrsOfTree(xattrs) },
      ...(link !== undefined && { link }),
      ...(kind.endsWith("-device") && { device: deviceOf(stats.rdev) }),
      ...(kind === "file" && { sha256: sha256(fs.readFileSync(toBuffer(place))) }),
      ...(kind !== "folder" && stats.nlink > 1n && { inode: String(stats.ino) }),
    };
  });
  return shown(entries.filter(({ kind }) => kind !== "socket"));
}

/** Times before 1970 have no place in an image. */
function inImages(tree: Record<string, Shown>): Record<string, Shown> {
  const all = Object.entries(tree).map(([path, entry]) => [path, { ...entry, mtime: Math.max(0, entry.mtime) }]);
  return Object.fromEntries(all) as Record<string, Shown>;
}

for (const seed of seeds) {
  test(`what random work leaves is seen alike: seed ${seed}`, { timeout: 60_000 }, async () => {
    const layers = await plantLayers(seed);
    const lower = `lowerdir=${[...layers, join(folder, `seed-${seed}`, "empty")].join(":")}`;
    const expected = await mounted(["-t", "overlay", "-o", `ro,${lower},${options}`, "overlay"], walk);
    const listed = [];
    for (const layer of layers) listed.push({ folder: layer, entries: await listLayer(layer) });
    const entries = imageEntries(viewLayers(listed));
    assert.deepEqual(shown(entries), expected, `seed ${seed}: the view is not what overlayfs shows`);

    const packs = [];
    for (const layer of listed) {
      const pack = `${layer.folder}.pack`;
      await packContent(contentsOf(layer), pack, { level: 1, threads: 1 });
      packs.push(openPack(pack));
    }
    const image = join(folder, `seed-${seed}`, "image");
    await writeSquashfs(entries, packs, image, { epoch: 1_750_000_000, level: 1 });
    const inImage = await mounted(["-t", "squashfs", "-o", "loop,ro", image], walk);
    assert.deepEqual(inImage, inImages(expected), `seed ${seed}: the image is not what overlayfs shows`);
  });
}

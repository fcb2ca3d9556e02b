import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, writeSync, type Stats } from "node:fs";
import { resolveRooted } from "../../lib/rooted.ts";

export type PackedTree =
  | {
      readonly entries: number;
      /** Where the link /init points, when the archive has it and the tree has not. */
      readonly init: string | undefined;
    }
  | { readonly problem: string; readonly hint?: string };

/** Where an init can stand that the kernel's /init leads to, the first that is there. */
const inits = ["sbin/init", "usr/sbin/init", "usr/lib/systemd/systemd", "lib/systemd/systemd"];

/** Sizes are eight hexadecimal digits. */
const maxFile = 0xffff_ffff;

interface Entry {
  /** As in the tree, byte for byte: names need not be UTF-8. */
  readonly name: Buffer;
  readonly stats: Pick<Stats, "mode" | "uid" | "gid" | "size" | "mtimeMs">;
  /** Names of this file; numbers of the inodes count up from 1. */
  readonly links: number;
  readonly inode: number;
  /** Whether this entry carries the content: of hard links it is the last one, as cpio does it. */
  readonly withContent: boolean;
  /** Of a device. */
  readonly device: readonly [major: number, minor: number];
  /** Of a link that the tree does not have. */
  readonly target?: string;
}

/**
 * Writes the tree below `root` to a file descriptor: folders before what is in them, and that by the names' bytes.
 * Nothing in it depends on where the tree is: inodes are numbered, and the device of every file is 0:0.
 */
export async function writeTree(root: string, output: number, epoch: number): Promise<PackedTree> {
  const init = await missingInit(root);
  if (init === "none") {
    return {
      problem: `the tree cannot be an initramfs: it has no init (/init, ${inits.map((path) => `/${path}`).join(", ")})`,
      hint: "add a package that brings one, such as systemd-sysv (Debian) or systemd (EL, SUSE)",
    };
  }
  const entries = numberInodes(list(root), init, epoch);
  const tooLarge = entries.find(({ stats }) => stats.size > maxFile);
  if (tooLarge !== undefined) {
    return {
      problem: `/${tooLarge.name.toString()} has ${tooLarge.stats.size} bytes; a cpio archive holds files below 4 GiB`,
      hint: "take it out of the tree, or choose squashfs or erofs",
    };
  }
  const writer = openWriter(output);
  for (const entry of entries) writeEntry(root, entry, writer);
  writer.header("TRAILER!!!", { links: 1 });
  writer.pad(512);
  writer.flush();
  return { entries: entries.length, init };
}

/** Undefined when the tree has /init; else what it is to point to, or "none". */
async function missingInit(root: string): Promise<string | undefined> {
  if ((await resolveRooted(root, "/init", true)) !== undefined) return undefined;
  for (const path of inits) if ((await resolveRooted(root, path, true)) !== undefined) return path;
  return "none";
}

/** A link that leads nowhere stands in the way of ours; it is left out for it. */
function numberInodes(found: readonly Found[], init: string | undefined, epoch: number): Entry[] {
  const inodes = new Map<string, { readonly inode: number; left: number; readonly links: number }>();
  const names = new Map<string, number>();
  for (const { key } of found) names.set(key, (names.get(key) ?? 0) + 1);
  const entries: Entry[] = found
    .filter(({ name }) => init === undefined || !name.equals(Buffer.from("init")))
    .map(({ name, key, stats }) => {
      const seen = inodes.get(key) ?? { inode: inodes.size + 1, left: names.get(key) ?? 1, links: names.get(key) ?? 1 };
      inodes.set(key, seen);
      seen.left -= 1;
      const device = stats.isCharacterDevice() || stats.isBlockDevice() ? splitDevice(stats.rdev) : ([0, 0] as const);
      // Of folders the number of names says how many folders are in them, which nobody needs.
      const links = stats.isDirectory() ? 2 : seen.links;
      return { name, stats, links, inode: seen.inode, withContent: seen.left === 0, device };
    });
  if (init === undefined) return entries;
  const stats = { mode: 0o120777, uid: 0, gid: 0, size: init.length, mtimeMs: epoch * 1000 };
  const link = { name: Buffer.from("init"), stats, links: 1, inode: inodes.size + 1, withContent: true } as const;
  const place = entries.findIndex(({ name }) => Buffer.compare(name, link.name) > 0 && !name.equals(Buffer.from(".")));
  entries.splice(place < 0 ? entries.length : place, 0, { ...link, device: [0, 0], target: init });
  return entries;
}

interface Found {
  readonly name: Buffer;
  readonly stats: Stats;
  /** Equal for names of one file. */
  readonly key: string;
}

/** The root itself is ".", and no other name begins with a dot and a slash. */
function list(root: string): Found[] {
  const found: Found[] = [];
  const visit = (name: Buffer, path: Buffer) => {
    const stats = lstatSync(path);
    found.push({ name, stats, key: stats.isDirectory() ? `folder ${found.length}` : `${stats.dev}:${stats.ino}` });
    if (!stats.isDirectory()) return;
    const children = readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare);
    for (const child of children) {
      const below = name.equals(Buffer.from(".")) ? child : Buffer.concat([name, slash, child]);
      visit(below, Buffer.concat([path, slash, child]));
    }
  };
  visit(Buffer.from("."), Buffer.from(root));
  return found;
}

const slash = Buffer.from("/");

/** As glibc's gnu_dev_major and gnu_dev_minor take a device number apart. */
function splitDevice(device: number): readonly [number, number] {
  const value = BigInt(device);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}

function writeEntry(root: string, entry: Entry, writer: Writer): void {
  const { stats, name } = entry;
  const path = Buffer.concat([Buffer.from(`${root}/`), name]);
  const isLink = (stats.mode & 0o170000) === 0o120000;
  const isFile = (stats.mode & 0o170000) === 0o100000;
  if (isLink) {
    const target = entry.target === undefined ? readlinkSync(path, { encoding: "buffer" }) : Buffer.from(entry.target);
    writer.header(name, { ...entry, size: target.length });
    writer.bytes(target);
    return writer.pad();
  }
  const size = isFile && entry.withContent ? stats.size : 0;
  writer.header(name, { ...entry, size });
  if (size > 0) writer.file(path, size);
  writer.pad();
}

interface HeaderFields {
  readonly links: number;
  readonly inode?: number;
  readonly stats?: Entry["stats"];
  readonly size?: number;
  readonly device?: readonly [number, number];
}

interface Writer {
  header(name: Buffer | string, fields: HeaderFields): void;
  bytes(content: Buffer): void;
  file(path: Buffer, size: number): void;
  /** Names and contents end at multiples of four bytes, the archive at one of 512, as cpio makes it. */
  pad(multiple?: number): void;
  flush(): void;
}

const bufferSize = 4 << 20;

function openWriter(output: number): Writer {
  const buffer = Buffer.alloc(bufferSize);
  let used = 0;
  let written = 0;
  const flush = () => {
    for (let done = 0; done < used;) done += writeSync(output, buffer, done, used - done);
    written += used;
    used = 0;
  };
  const bytes = (content: Buffer) => {
    for (let done = 0; done < content.length;) {
      if (used === bufferSize) flush();
      const copied = content.copy(buffer, used, done);
      used += copied;
      done += copied;
    }
  };
  const pad = (multiple = 4) => bytes(Buffer.alloc((multiple - ((written + used) % multiple)) % multiple));
  return {
    bytes,
    pad,
    flush,
    header: (name, { links, inode = 0, stats, size = 0, device = [0, 0] }) => {
      const named = Buffer.concat([Buffer.from(name), Buffer.alloc(1)]);
      // No time before 1970 or after 2106 fits.
      const time = Math.min(Math.max(Math.floor((stats?.mtimeMs ?? 0) / 1000), 0), maxFile);
      const numbers = [inode, stats?.mode ?? 0, stats?.uid ?? 0, stats?.gid ?? 0, links, time, size, 0, 0];
      const fields = [...numbers, ...device, named.length, 0];
      bytes(Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`));
      bytes(named);
      pad();
    },
    file: (path, size) => {
      const input = openSync(path, "r");
      try {
        for (let left = size; left > 0;) {
          if (used === bufferSize) flush();
          const read = readSync(input, buffer, used, Math.min(left, bufferSize - used), null);
          if (read === 0) throw new Error(`${path.toString()} became shorter while it was read`);
          used += read;
          left -= read;
        }
      } finally {
        closeSync(input);
      }
    },
  };
}

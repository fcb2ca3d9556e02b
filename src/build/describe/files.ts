import { isUtf8 } from "node:buffer";
import { createHash, hash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { typeOf } from "../../compliance/index.ts";
import type { InventoryFile } from "../../image/index.ts";
import { run } from "../../lib/exec.ts";
import { capabilityAttribute, capabilityText } from "./capabilities.ts";

/**
 * Sha256 of files by what tells them apart on this machine: inode, size, and the time of the last change, which nobody
 * can set back. Layers are not written to once they stand, so who lists two trees reads what they share only once.
 */
export type FileDigests = Readonly<Record<string, string>>;

export interface FileList {
  readonly digests: FileDigests;
  /** By path. */
  readonly files: InventoryFile[];
  /** Bytes of all regular files, hard links counted once. */
  readonly size: number;
}

/** Names and values of extended attributes, by path. */
type Attributes = ReadonlyMap<string, Readonly<Record<string, string>>>;

/**
 * Lists everything below `root`, the root itself as "/", links not followed. Synchronous reads, as a tree has many
 * small files: they cost half of what the same reads through promises do. The tree must not be written to meanwhile.
 */
export async function listFiles(root: string, known: FileDigests = {}): Promise<FileList> {
  const attributes = await readAttributes(root);
  const files: InventoryFile[] = [];
  const before = new Map(Object.entries(known));
  const digests = new Map<string, string>();
  let size = 0;
  let attributed = 0;
  const visit = (place: Buffer) => {
    const path = place.subarray(root.length);
    const found = lstatSync(place);
    const identity = `${found.ino}:${found.size}:${found.ctimeMs}`;
    // The same file may have been here already under another name.
    const again = found.nlink > 1 ? digests.get(identity) : undefined;
    const sha256 = found.isFile() ? (again ?? before.get(identity) ?? digest(place, found)) : undefined;
    if (sha256 !== undefined) digests.set(identity, sha256);
    if (found.isFile() && again === undefined) size += found.size;
    const own = attributes.get(path.length === 0 ? "/" : path.toString());
    if (own !== undefined) attributed += 1;
    files.push({ ...describe(place, path, found), ...(sha256 !== undefined && { sha256 }), ...asFields(own) });
    if (!found.isDirectory()) return;
    for (const name of readdirSync(place, { encoding: "buffer" })) visit(Buffer.concat([place, slash, name]));
  };
  visit(Buffer.from(root));
  if (attributed < attributes.size) throw new Error("getfattr named files that are not in the tree");
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), size, digests: Object.fromEntries(digests) };
}

const slash = Buffer.from("/");

function describe(place: Buffer, path: Buffer, found: Stats): InventoryFile {
  const kind = typeOf(found);
  const isDevice = kind === "character-device" || kind === "block-device";
  return {
    path: path.length === 0 ? "/" : shown(path),
    kind,
    mode: (found.mode & 0o7777).toString(8).padStart(4, "0"),
    uid: found.uid,
    gid: found.gid,
    ...(kind === "file" && { size: found.size }),
    ...(kind === "symlink" && { target: shown(readlinkSync(place, { encoding: "buffer" })) }),
    ...(isDevice && { device: `${major(found.rdev)}:${minor(found.rdev)}` }),
  };
}

/** A name is bytes; JSON holds only text. */
function shown(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  const escape = (byte: number) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`);
  return [...name].map(escape).join("");
}

/** As glibc's gnu_dev_major() and gnu_dev_minor(), for the numbers below 2^32 that Linux gives out. */
function major(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minor(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

const buffer = Buffer.allocUnsafe(1 << 20);

function digest(place: Buffer, { size }: Stats): string {
  const file = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const first = readSync(file, buffer);
    if (first === size) return hash("sha256", buffer.subarray(0, first));
    const whole = createHash("sha256").update(buffer.subarray(0, first));
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
      whole.update(buffer.subarray(0, read));
    }
    return whole.digest("hex");
  } finally {
    closeSync(file);
  }
}

/** Node cannot read extended attributes. What overlayfs keeps for itself is not shown through its mounts. */
async function readAttributes(root: string): Promise<Attributes> {
  const argv = ["--recursive", "--physical", "--no-dereference", "--absolute-names"] as const;
  const { stdout } = await run(["getfattr", ...argv, "--dump", "--match=-", "--encoding=hex", root]);
  return parseAttributes(stdout, root);
}

/** The dump form of getfattr(1): "# file: PATH", lines NAME=0xHEX, an empty line. */
export function parseAttributes(dump: string, root: string): Attributes {
  const found = new Map<string, Readonly<Record<string, string>>>();
  for (const block of dump.split("\n\n")) {
    const [head = "", ...lines] = block.split("\n").filter((line) => line !== "");
    if (!head.startsWith("# file: ")) continue;
    // It writes a backslash and what would break its lines as \ooo.
    const path = head.slice("# file: ".length).replace(/\\(\d{3})/g, (_, octal: string) => fromOctal(octal));
    const entries = lines.map((line): [string, string] => {
      const at = line.indexOf("=");
      return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    });
    found.set(path.slice(root.length) || "/", Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  }
  return found;
}

function fromOctal(digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 8));
}

function asFields(
  attributes: Readonly<Record<string, string>> = {},
): Pick<InventoryFile, "capabilities" | "attributes"> {
  const { [capabilityAttribute]: capabilities, ...others } = attributes;
  return {
    ...(capabilities !== undefined && { capabilities: capabilityText(capabilities) }),
    ...(Object.keys(others).length > 0 && { attributes: others }),
  };
}

import { chmod, lstat, mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FromSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv } from "../../lib/exec.ts";
import { digestFile } from "../../lib/files.ts";
import { downloadFile } from "../../lib/http.ts";
import { orUndefined, resolveRooted } from "../../lib/rooted.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { hostVersions } from "../host-packages.ts";
import { inspectArchive, withoutNetwork, type Archive, type Decompressor } from "./inspect.ts";
import type { BaseMaker, BaseWorld, Lock } from "./types.ts";

const script = fileURLToPath(new URL("./unpack-archive.sh", import.meta.url));
const toTar = fileURLToPath(new URL("../inside/cpio-to-tar.ts", import.meta.url));

/** Debian packages whose version can change what comes out of an archive. */
const tools = ["squashfs-tools", "tar"] as const;

/**
 * A root tree that was made elsewhere: a tar or cpio archive (plain, or packed with gzip, xz, zstd or bzip2) or a
 * squashfs, told by its bytes. `from.archive` names a file of the recipe, a URL, or `blob:SHA256` for one that was
 * uploaded before.
 */
export const archiveBase: BaseMaker<FromSpec> = {
  title: ({ from }) => `base (archive ${shortName(from.archive ?? "")})`,
  inputs: async ({ arch }) => ({ arch, ...(await hostVersions(tools)) }),
  lockedBy: ({ from }) => ({ archive: from.archive ?? "", sha256: from.sha256 ?? "" }),
  resolve: async ({ from }, world) => {
    const archive = from.archive ?? "";
    const sha256 = await naming(archive, () => bringIn(archive, from.sha256, world));
    return { family: "files", packages: [], files: { archive: sha256 } };
  },
  make: async ({ from, arch }, lock, tree, world) =>
    naming(from.archive ?? "", async () => {
      const file = world.blobs.path(archiveOf(lock));
      await unpackArchive(file, await inspectArchive(file, { signal: world.run.signal }), tree, world);
      await completeTree(tree);
      await requireArch(tree, arch);
    }),
};

/** Puts the archive that is meant into the message of what is wrong with it. */
async function naming<T>(archive: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NetkilnError) || error.code !== "invalid_input") throw error;
    throw new NetkilnError(error.code, `${shortName(archive)}: ${error.message}`, error);
  }
}

/** Nothing is kept of an archive that is not what was meant, or not safe. */
async function bringIn(archive: string, wanted: string | undefined, world: BaseWorld): Promise<string> {
  const blob = /^blob:([0-9a-f]{64})$/.exec(archive)?.[1];
  const options = { signal: world.run.signal };
  if (blob !== undefined) {
    if (!(await world.blobs.has(blob))) {
      throw new NetkilnError("invalid_input", "no such file has been uploaded", {
        hint: "netkiln images import uploads one",
      });
    }
    await inspectArchive(world.blobs.path(blob), options);
    return blob;
  }
  if (/^https?:\/\//.test(archive)) {
    const file = join(world.folder, "archive");
    try {
      const { sha256 } = await downloadFile(archive, file, options);
      requireDigest(sha256, wanted);
      await inspectArchive(file, options);
      return (await world.blobs.putFile(file)).sha256;
    } finally {
      await rm(file, { force: true });
    }
  }
  const file = world.recipeFile(archive);
  const { sha256 } = await digestFile(file);
  requireDigest(sha256, wanted);
  await inspectArchive(file, options);
  // Files of recipes are blobs already, whose path is that of the blob.
  if (!(await world.blobs.has(sha256))) {
    throw new NetkilnError("internal", `the file ${archive} of the recipe is no blob`);
  }
  return sha256;
}

function requireDigest(found: string, wanted: string | undefined): void {
  if (wanted === undefined || wanted === found) return;
  throw new NetkilnError("invalid_input", `its sha256 is ${found}, and recipe.yaml wants ${wanted}`, {
    hint: "when the new content is meant, put its sha256 into recipe.yaml; nothing was kept of it",
  });
}

function archiveOf(lock: Lock): string {
  const sha256 = lock.files["archive"];
  if (sha256 === undefined) throw new NetkilnError("internal", "the lock of an archive names none");
  return sha256;
}

async function unpackArchive(file: string, archive: Archive, tree: string, world: BaseWorld): Promise<void> {
  const unpack = async (kind: Archive["kind"], ...more: readonly string[]) => {
    const argv: Argv = withoutNetwork(["/bin/bash", script, kind, file, tree, ...more]);
    await runIsolated(argv, { ...world.run, name: kind === "squashfs" ? "unsquashfs" : "tar" });
  };
  if (archive.kind === "squashfs") return unpack("squashfs");
  if (archive.kind === "tar") return unpack("tar", archive.decompressor satisfies Decompressor);
  for (const { offset, decompressor, members } of archive.parts) {
    for (const [number, { early }] of members.entries()) {
      if (early) continue;
      await unpack("cpio", decompressor, String(offset), process.execPath, toTar, String(number));
    }
  }
}

/** Where file systems are mounted in every running tree; archives of live roots leave them out, some altogether. */
const mountPoints: Readonly<Record<string, number>> = { dev: 0o755, proc: 0o555, run: 0o755, sys: 0o555, tmp: 0o1777 };

async function completeTree(tree: string): Promise<void> {
  for (const folder of ["etc", "usr"]) {
    const found = await orUndefined(lstat(join(tree, folder)));
    if (found?.isDirectory() !== true) throw new NetkilnError("invalid_input", `/${folder} in it is not a folder`);
  }
  const present = new Set(await readdir(tree));
  for (const [name, mode] of Object.entries(mountPoints)) {
    if (present.has(name)) continue;
    await mkdir(join(tree, name));
    await chmod(join(tree, name), mode);
  }
}

/** e_machine at 18 of an ELF file (elf(5)). */
const machines: Readonly<Record<number, string>> = { 62: "x86_64", 183: "aarch64" };

/** A tree of another architecture would build, be published, and fail on the node. */
async function requireArch(tree: string, arch: string): Promise<void> {
  for (const program of ["/bin/sh", "/usr/bin/env", "/sbin/init"]) {
    const path = await resolveRooted(tree, program, true);
    const header = path === undefined ? undefined : await firstBytes(join(tree, path), 20);
    if (header === undefined || header.length < 20 || header.toString("latin1", 1, 4) !== "ELF") continue;
    const found = machines[header.readUInt16LE(18)] ?? "another architecture";
    if (found === arch) return;
    throw new NetkilnError("invalid_input", `${program} in it is for ${found}, and the image is to be for ${arch}`, {
      hint: `say arch: ${found} in recipe.yaml, or --arch ${found} where it is imported`,
    });
  }
}

async function firstBytes(file: string, size: number): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** `rootfs.tar.zst`, or the beginning of a blob's name. */
function shortName(archive: string): string {
  if (archive.startsWith("blob:")) return archive.slice("blob:".length, "blob:".length + 12);
  return archive.replace(/[?#].*$/, "").replace(/^.*\//, "") || archive;
}

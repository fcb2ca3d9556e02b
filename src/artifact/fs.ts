import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chown, mkdir, open, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { clock } from "../lib/clock.ts";
import { digestFile, sha256, syncDirectory, type Digests } from "../lib/files.ts";
import type { BlobStore } from "./store.ts";

/** Reads of this size cost half the processor time of Node's 64 KiB default. */
const readChunk = 256 * 1024;

/**
 * Blobs as files `sha256/ab/abcd…` below `root`; a name exists only with all of its bytes on the disk. A blob that is
 * put again becomes another file or gets a new time: by that the garbage collection sees that it is wanted again.
 */
export function openFileBlobs(root: string): BlobStore {
  const pathOf = (digest: string) => join(root, "sha256", digest.slice(0, 2), digest);

  /** A worker that is root shares the store with a server that need not be: the owner of the data folder. */
  const giveToOwner = async (folder: string): Promise<void> => {
    if (process.getuid?.() !== 0) return;
    const { uid, gid } = await stat(join(root, ".."));
    for (const path of [root, join(root, "sha256"), folder]) await chown(path, uid, gid);
  };

  const take = async (file: string, digests: Digests): Promise<Digests> => {
    const path = pathOf(digests.sha256);
    const folder = join(path, "..");
    await mkdir(folder, { recursive: true });
    await giveToOwner(folder);
    const handle = await open(file, "r");
    try {
      await handle.chmod(0o444);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(file, path);
    await syncDirectory(folder);
    return digests;
  };

  const renew = async (digest: string): Promise<boolean> => {
    const now = clock.now();
    return utimes(pathOf(digest), now, now).then(
      () => true,
      () => false,
    );
  };

  return {
    putFile: async (file, known) => take(file, known ?? (await digestFile(file))),
    putBytes: async (bytes) => {
      const known = digestsOf(bytes);
      if ((await sizeOf(pathOf(known.sha256))) === known.size && (await renew(known.sha256))) return known;
      const temporary = join(root, `${clock.randomHex(8)}.tmp`);
      await mkdir(root, { recursive: true });
      const handle = await open(temporary, "wx", 0o644);
      try {
        await handle.writeFile(bytes).finally(() => handle.close());
        return await take(temporary, known);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    has: async (digest) => (await sizeOf(pathOf(digest))) !== undefined,
    renew,
    path: pathOf,
    read: (digest, range): Readable =>
      createReadStream(pathOf(digest), { highWaterMark: readChunk, ...(range !== undefined && range) }),
  };
}

function digestsOf(bytes: Buffer | string): Digests {
  return {
    sha256: sha256(bytes),
    md5: createHash("md5").update(bytes).digest("hex"),
    size: Buffer.byteLength(bytes),
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

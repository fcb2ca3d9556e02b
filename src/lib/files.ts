import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { clock } from "./clock.ts";

export interface Digests {
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly md5: string;
  /** Bytes. */
  readonly size: number;
}

/** Reads a file once for both digests: sha256 is our name for it, md5 is what IMS manifests carry. */
export async function digestFile(path: string): Promise<Digests> {
  const sha256 = createHash("sha256");
  const md5 = createHash("md5");
  let size = 0;
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      sha256.update(chunk);
      md5.update(chunk);
      size += chunk.length;
    }
  });
  return { sha256: sha256.digest("hex"), md5: md5.digest("hex"), size };
}

export function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A text that is equal for equal values, whatever the order of their keys: what keys are made of. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Makes a rename or a new entry in `directory` survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * A stream into a file that is not there yet. It is open when this returns: a stream that opens its file itself may make
 * it after its failure has been told, and after who was told has removed it.
 */
export async function createFile(path: string): Promise<Writable> {
  return (await open(path, "wx")).createWriteStream();
}

/** Old content or new content, never a part: temporary name, sync, rename, sync of the folder. */
export async function writeFileAtomic(path: string, content: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${clock.randomHex(6)}.tmp`;
  const handle = await open(temporary, "wx", mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

import { createWriteStream } from "node:fs";
import { link, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createTarPacker } from "modern-tar";
import { clock } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { createFile, canonicalJson, syncDirectory } from "../../lib/files.ts";
import { parseDocument, receive, verified, type RawManifest } from "./content.ts";
import type { OpenBlob, Registry } from "./registry.ts";
import { manifestSchema, mediaTypes, type Descriptor } from "./schema.ts";

/** A manifest that leaves netkiln, with what it is to be called; what refers to another one needs no name. */
export interface Exported {
  readonly manifest: RawManifest;
  readonly tag?: string;
}

const layoutText = canonicalJson({ imageLayoutVersion: "1.0.0" });

/**
 * Writes an OCI image layout to a folder that is not there yet: it appears with all of its content or not at all.
 * Every blob is compared with its digest on the way. Throws `conflict` when something is there.
 */
export async function writeLayout(folder: string, exported: readonly Exported[], openBlob: OpenBlob): Promise<void> {
  await refuseExisting(folder);
  const temporary = `${folder}.${clock.randomHex(6)}.tmp`;
  const blobs = join(temporary, "blobs/sha256");
  try {
    await mkdir(blobs, { recursive: true });
    for (const blob of blobsOf(exported)) {
      const file = join(blobs, hex(blob));
      await receive(bytesOf(blob, openBlob), blob, file, `blob ${blob.digest}`);
      await syncFile(file);
    }
    for (const [name, text] of headFiles(exported)) {
      const file = join(temporary, name);
      await pipeline(Readable.from([Buffer.from(text)]), createWriteStream(file, { flags: "wx" }));
      await syncFile(file);
    }
    for (const path of [blobs, dirname(blobs), temporary]) await syncDirectory(path);
    await rename(temporary, folder).catch((error: unknown) => {
      throw (error as NodeJS.ErrnoException).code === "ENOTEMPTY" ? taken(folder) : error;
    });
    await syncDirectory(dirname(folder));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The same as one tar archive (oci-archive of containers-transports(5)); the same content gives the same bytes. */
export async function writeLayoutArchive(
  file: string,
  exported: readonly Exported[],
  openBlob: OpenBlob,
): Promise<void> {
  await refuseExisting(file);
  const temporary = `${file}.${clock.randomHex(6)}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const target = await createFile(temporary);
    const { readable, controller } = createTarPacker();
    await Promise.all([
      packLayout(controller, exported, openBlob).catch((error: unknown) => controller.error(error)),
      pipeline(Readable.fromWeb(readable), target),
    ]);
    await syncFile(temporary);
    // Unlike a rename, a link never takes the place of a file that has come meanwhile.
    await link(temporary, file).catch((error: unknown) => {
      throw (error as NodeJS.ErrnoException).code === "EEXIST" ? taken(file) : error;
    });
    await syncDirectory(dirname(file));
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Uploads manifests in the given order, each after the blobs that it names; what the repository has is not sent
 * again. So a name never points to something that is not all there, and one that went wrong can be tried again.
 */
export async function pushAll(registry: Registry, exported: readonly Exported[], openBlob: OpenBlob): Promise<void> {
  for (const { manifest, tag } of exported) {
    for (const blob of partsOf(manifest)) {
      if (!(await registry.hasBlob(blob.digest))) await registry.pushBlob(blob, openBlob);
    }
    await registry.pushManifest(manifest, tag);
  }
}

type Blob = Pick<Descriptor, "digest" | "size"> & { readonly bytes?: Buffer };

function partsOf({ bytes, digest }: RawManifest): Blob[] {
  const { config, layers } = parseDocument(manifestSchema, bytes, `manifest ${digest}`);
  const parts = [config, ...layers];
  return [...new Map(parts.map(({ digest, size }) => [digest, { digest, size }])).values()];
}

/** Every blob once, in the order of their digests. */
function blobsOf(exported: readonly Exported[]): Blob[] {
  const blobs = new Map<string, Blob>();
  for (const { manifest } of exported) {
    for (const part of partsOf(manifest)) blobs.set(part.digest, part);
    const { digest, bytes } = manifest;
    blobs.set(digest, { digest, size: bytes.length, bytes });
  }
  return [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

function bytesOf({ digest, bytes }: Blob, openBlob: OpenBlob): AsyncIterable<Uint8Array> {
  return bytes === undefined ? openBlob(digest) : Readable.from([bytes]);
}

function headFiles(exported: readonly Exported[]): [name: string, text: string][] {
  const manifests = exported.map(({ manifest: { mediaType, digest, bytes }, tag }) => {
    const { artifactType } = parseDocument(manifestSchema, bytes, `manifest ${digest}`);
    const annotations = tag === undefined ? undefined : { "org.opencontainers.image.ref.name": tag };
    return { mediaType, digest, size: bytes.length, artifactType, annotations };
  });
  return [
    ["index.json", canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests })],
    ["oci-layout", layoutText],
  ];
}

type Packer = ReturnType<typeof createTarPacker>["controller"];

async function packLayout(packer: Packer, exported: readonly Exported[], openBlob: OpenBlob): Promise<void> {
  const add = async (name: string, size: number, content: AsyncIterable<Uint8Array>) => {
    const header = { name, size, type: "file", mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) } as const;
    const writer = packer.add(header).getWriter();
    for await (const chunk of content) await writer.write(chunk);
    await writer.close();
  };
  for (const [name, text] of headFiles(exported)) {
    await add(name, Buffer.byteLength(text), Readable.from([Buffer.from(text)]));
  }
  for (const blob of blobsOf(exported)) {
    const content = verified(bytesOf(blob, openBlob), blob, `blob ${blob.digest}`);
    await add(`blobs/sha256/${hex(blob)}`, blob.size, content);
  }
  packer.finalize();
}

function hex({ digest }: Blob): string {
  return digest.slice("sha256:".length);
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function refuseExisting(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) throw taken(path);
}

function taken(path: string): NetkilnError {
  return new NetkilnError("conflict", `${path} is there already`, { hint: "remove it, or name another path" });
}

import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BlobStore } from "../../artifact/index.ts";
import type { Arch } from "../../image/index.ts";
import type { Digests } from "../../lib/files.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { LayerStore } from "../layers.ts";
import { archiveLayer } from "../tree/archive.ts";
import { ociImage } from "./oci.ts";

/**
 * Puts a tree into the blob store as an OCI image: each layer as an archive, the config, and the manifest, whose
 * digests it returns. `layers` are diff IDs, the topmost first.
 */
export async function packOci(
  layers: readonly string[],
  about: { readonly name: string; readonly arch: Arch; readonly epoch: number; readonly buildId: string },
  folder: string,
  { blobs, layers: store }: { readonly blobs: BlobStore; readonly layers: LayerStore },
): Promise<Digests> {
  const archives: Digests[] = [];
  for (const [index, diffId] of layers.entries()) {
    const lower = [...layers.slice(index + 1), store.empty].map((layer) => join(store.root, layer));
    const file = join(folder, `layer-${index}.tar`);
    await pipeline(Readable.from(archiveLayer(join(store.root, diffId), lower)), createWriteStream(file));
    const digests = await blobs.putFile(file);
    if (digests.sha256 !== diffId) {
      throw new NetkilnError("work_failed", `the layer ${diffId} is not what it was when it was made`, {
        hint: "something has changed the folder of the layers; build the image again",
      });
    }
    archives.push(digests);
  }
  const { name, arch, epoch, buildId } = about;
  const { manifest, config } = ociImage({ layers: archives.toReversed(), arch, created: epoch, name, buildId });
  await blobs.putBytes(config);
  return blobs.putBytes(manifest.bytes);
}

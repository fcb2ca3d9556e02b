import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { clock } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { BlobStore } from "../store.ts";
import { mismatch, parseDocument, type OciSource, type RawManifest } from "./content.ts";
import {
  configSchema,
  indexSchema,
  manifestSchema,
  mediaTypes,
  type Descriptor,
  type ImageConfig,
  type Manifest,
} from "./schema.ts";

/** As OCI, like Go, names architectures. */
export const ociArch = { x86_64: "amd64", aarch64: "arm64" } as const;
export type MachineArch = keyof typeof ociArch;

/** A layer's compression, by its media type; others (encrypted, foreign, not tar) are not read. */
const layerForms: Readonly<Record<string, "plain" | "gzip" | "zstd">> = {
  [mediaTypes.layer]: "plain",
  [`${mediaTypes.layer}+gzip`]: "gzip",
  [`${mediaTypes.layer}+zstd`]: "zstd",
  "application/vnd.docker.image.rootfs.diff.tar": "plain",
  "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
  "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
};

export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly form: "plain" | "gzip" | "zstd";
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
}

/** The digests of everything that an image is made of, without `sha256:`; all are in the blob store. */
export interface PulledImage {
  readonly manifest: string;
  readonly config: string;
  /** The lowest first. */
  readonly layers: readonly string[];
}

/** Brings an image for one architecture into the blob store. `folder` is on the store's file system. */
export async function pullImage(
  source: OciSource,
  arch: MachineArch,
  blobs: BlobStore,
  folder: string,
): Promise<PulledImage> {
  const raw = await selectManifest(source, arch);
  const manifest = parseManifest(raw, source.name);
  const bring = async (descriptor: Descriptor): Promise<string> => {
    const digest = descriptor.digest.slice("sha256:".length);
    if (await blobs.has(digest)) {
      const { size } = await stat(blobs.path(digest));
      if (size === descriptor.size) return digest;
      throw mismatch(`blob ${descriptor.digest} of ${source.name}`, descriptor, descriptor.digest, size);
    }
    const file = join(folder, `blob-${clock.randomHex(8)}`);
    await source.blob(descriptor, file);
    return (await blobs.putFile(file)).sha256;
  };
  const config = await bring(manifest.config);
  // Before the layers come, so that an image that cannot be used costs nothing.
  const bytes = await readFile(blobs.path(config));
  imageLayers(manifest, parseConfig(bytes, source.name, arch), source.name);
  const layers: string[] = [];
  for (const layer of manifest.layers) layers.push(await bring(layer));
  return { manifest: (await blobs.putBytes(raw.bytes)).sha256, config, layers };
}

/** Goes from an index to the manifest for an architecture; an index may name others. */
async function selectManifest(source: OciSource, arch: MachineArch): Promise<RawManifest> {
  let raw = await source.top();
  for (let depth = 0; depth < 4; depth += 1) {
    const type = typeOf(raw, source.name);
    if (type === mediaTypes.manifest || type === mediaTypes.dockerManifest) return raw;
    if (type !== mediaTypes.index && type !== mediaTypes.dockerList) {
      throw new NetkilnError("invalid_input", `${source.name} is no image: its media type is ${type}`, {
        hint: "images of the OCI specification and of Docker (schema 2) are read",
      });
    }
    const { manifests } = parseDocument(indexSchema, raw.bytes, `index of ${source.name}`);
    raw = await source.manifest(select(manifests, arch, source.name));
  }
  throw new NetkilnError("invalid_input", `the index of ${source.name} names indexes without an end`);
}

/** What the document itself says counts; what it is sent with can be put on by anybody on the way. */
function typeOf({ bytes, mediaType }: RawManifest, name: string): string {
  let said: unknown;
  try {
    said = (JSON.parse(bytes.toString("utf8")) as { mediaType?: unknown } | null)?.mediaType;
  } catch {
    throw new NetkilnError("invalid_input", `the manifest of ${name} is no JSON`);
  }
  return typeof said === "string" ? said : mediaType;
}

function select(manifests: readonly Descriptor[], arch: MachineArch, name: string): Descriptor {
  const wanted = ociArch[arch];
  // Beside images stand signatures and the like, and attestations for a platform that is called unknown.
  const images = manifests.filter(
    ({ platform, artifactType }) => platform?.os !== "unknown" && artifactType === undefined,
  );
  const found = images.find(({ platform }) => platform?.os === "linux" && platform.architecture === wanted);
  if (found !== undefined) return found;
  const [only] = images;
  if (images.length === 1 && only !== undefined && only.platform === undefined) return only;
  const there = images.map(({ platform }) =>
    platform ? `${platform.os}/${platform.architecture}` : "without a platform",
  );
  throw new NetkilnError("invalid_input", `${name} has no image for linux/${wanted}`, {
    hint: `it has: ${[...new Set(there)].join(", ") || "none"}`,
  });
}

export function parseManifest({ bytes }: Pick<RawManifest, "bytes">, name: string): Manifest {
  return parseDocument(manifestSchema, bytes, `manifest of ${name}`);
}

export function parseConfig(bytes: Buffer, name: string, arch: MachineArch): ImageConfig {
  const config = parseDocument(configSchema, bytes, `config of ${name}`);
  if (config.os === "linux" && config.architecture === ociArch[arch]) return config;
  const found = `${config.os}/${config.architecture}`;
  throw new NetkilnError("invalid_input", `${name} is an image for ${found}, not for linux/${ociArch[arch]}`, {
    hint: "set arch in recipe.yaml, or name an image for that architecture",
  });
}

/** What the layers of an image are, the lowest first; throws for what is no layer that can be unpacked. */
export function imageLayers(manifest: Manifest, config: ImageConfig, name: string): ImageLayer[] {
  const diffIds = config.rootfs.diff_ids;
  if (manifest.layers.length !== diffIds.length || diffIds.length === 0) {
    const count = `${manifest.layers.length} layers, and its config ${diffIds.length}`;
    throw new NetkilnError("invalid_input", `the manifest of ${name} names ${count}`);
  }
  return manifest.layers.map((descriptor, index) => {
    const form = Object.hasOwn(layerForms, descriptor.mediaType) ? layerForms[descriptor.mediaType] : undefined;
    if (form === undefined) {
      throw new NetkilnError(
        "invalid_input",
        `layer ${index} of ${name} is of no known type: ${descriptor.mediaType}`,
        {
          hint: "layers are read that are tar archives, plain or with gzip or zstd",
        },
      );
    }
    return { descriptor, form, diffId: diffIds[index] ?? "" };
  });
}

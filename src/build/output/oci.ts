import { mediaTypes, ociArch, rawManifest, type Descriptor, type RawManifest } from "../../artifact/index.ts";
import type { Arch } from "../../image/index.ts";
import { canonicalJson, sha256 } from "../../lib/files.ts";

/** What a node needs to boot, as files of an OCI artifact (image-spec v1.1, "Guidelines for Artifact Usage"). */
const bootArtifactType = "application/vnd.netkiln.boot.v1";

/** A layer of the artifact is a file as it is; what it is for stands in its media type, its name in its title. */
const bootFileTypes: Readonly<Record<string, string>> = {
  kernel: "application/vnd.netkiln.boot.kernel.v1",
  initrd: "application/vnd.netkiln.boot.initrd.v1",
  rootfs: "application/vnd.netkiln.boot.rootfs.v1.squashfs",
  "manifest.json": "application/json",
};

const annotation = {
  created: "org.opencontainers.image.created",
  title: "org.opencontainers.image.title",
  buildId: "io.netkiln.build-id",
} as const;

/** Two bytes, `{}`: the config of what has none. Its blob has to be there as well. */
export const emptyBlob = Buffer.from("{}");
const emptyConfig: Descriptor = { mediaType: mediaTypes.empty, digest: `sha256:${sha256(emptyBlob)}`, size: 2 };

/** A blob by its sha256 in lower-case hexadecimal, and its size in bytes. */
interface Blob {
  readonly sha256: string;
  readonly size: number;
}

export interface OciImage {
  readonly manifest: RawManifest;
  /** A blob that the manifest names, as the layers are. */
  readonly config: Buffer;
}

/**
 * An OCI image of layers that are uncompressed tar archives, the lowest first: the digest of such a layer is its diff
 * id as well. `created` in seconds. The same input gives the same bytes.
 */
export function ociImage(image: {
  readonly layers: readonly (Blob & { readonly createdBy?: string })[];
  readonly arch: Arch;
  readonly created: number;
  readonly name: string;
  readonly buildId: string;
  readonly labels?: Readonly<Record<string, string>>;
}): OciImage {
  const created = isoTime(image.created);
  const about = { [annotation.title]: image.name, [annotation.buildId]: image.buildId };
  const config = Buffer.from(
    canonicalJson({
      created,
      architecture: ociArch[image.arch],
      os: "linux",
      config: { Labels: { ...image.labels, ...about } },
      rootfs: { type: "layers", diff_ids: image.layers.map(({ sha256 }) => `sha256:${sha256}`) },
      history: image.layers.map(({ createdBy = "netkiln" }) => ({ created, created_by: createdBy })),
    }),
  );
  const manifest = manifestOf({
    config: { mediaType: mediaTypes.config, digest: `sha256:${sha256(config)}`, size: config.length },
    layers: image.layers.map((layer) => describe(layer, mediaTypes.layer)),
    annotations: { ...about, [annotation.created]: created },
  });
  return { manifest, config };
}

/**
 * The files of an image as an OCI artifact: kernel, initrd, rootfs, manifest.json, whichever there are. Clients such as
 * oras and skopeo pull them under their titles.
 */
export function ociArtifact(artifact: {
  readonly files: readonly (Blob & { readonly title: string })[];
  readonly created: number;
  readonly buildId: string;
}): RawManifest {
  return manifestOf({
    artifactType: bootArtifactType,
    config: emptyConfig,
    layers: artifact.files.map((file) => ({
      ...describe(file, bootFileTypes[file.title] ?? "application/octet-stream"),
      annotations: { [annotation.title]: file.title },
    })),
    annotations: { [annotation.buildId]: artifact.buildId, [annotation.created]: isoTime(artifact.created) },
  });
}

/**
 * Something that is said of another manifest: an SBOM, a signature, provenance. Registries list it among the referrers
 * of its subject. `mediaType` is that of the blob, and its type as an artifact.
 */
export function ociReferrer(referrer: {
  readonly subject: RawManifest;
  readonly blob: Blob & { readonly title: string; readonly mediaType: string };
  readonly created: number;
}): RawManifest {
  const { subject, blob, created } = referrer;
  return manifestOf({
    artifactType: blob.mediaType,
    config: emptyConfig,
    layers: [{ ...describe(blob, blob.mediaType), annotations: { [annotation.title]: blob.title } }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.bytes.length },
    annotations: { [annotation.created]: isoTime(created) },
  });
}

function manifestOf(content: {
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations: Readonly<Record<string, string>>;
}): RawManifest {
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, ...content };
  return rawManifest(Buffer.from(canonicalJson(manifest)), mediaTypes.manifest);
}

function describe({ sha256, size }: Blob, mediaType: string): Descriptor {
  return { mediaType, digest: `sha256:${sha256}`, size };
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

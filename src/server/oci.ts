import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  mediaTypes,
  openRegistry,
  parseReference,
  pushAll,
  rawManifest,
  writeLayoutArchive,
  type Descriptor,
  type Exported,
  type RawManifest,
} from "../artifact/index.ts";
import type { OciCatalog } from "../api/oci/routes.ts";
import { emptyBlob, ociArtifact, ociReferrer } from "../build/index.ts";
import { requireVouched, type Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { House } from "./open.ts";

/** Repositories: `images/NAME` for the tree as an OCI image, `boot/NAME` for the boot files as an OCI artifact. */
const repositoryName = /^(images|boot)\/([a-z0-9._-]+)$/;

/** What of images clients of OCI registries see, newest first under the tag `latest`, each under its build id, and under its channels. */
export function ociCatalog(house: House): OciCatalog {
  const all = async (repository: string): Promise<{ tag: string; manifest: RawManifest; image: Image }[]> => {
    const [, kind = "", name = ""] = repositoryName.exec(repository) ?? [];
    const images = kind === "" ? [] : await house.images.findImagesByName(name);
    const found = [];
    for (const image of images) {
      const manifest = kind === "images" ? await treeManifest(image, house) : await bootManifest(image, house);
      if (manifest !== undefined) found.push({ tag: image.buildId, manifest, image });
    }
    return found;
  };
  const byTag = async (repository: string, tag: string) => {
    const found = await all(repository);
    if (tag === "latest") return found[0]?.manifest;
    const channel = await house.channels.find(`${repositoryName.exec(repository)?.[2]}:${tag}`);
    return found.find(({ image, tag: own }) => own === tag || image.id === channel?.image)?.manifest;
  };
  const everyManifest = async (repository: string): Promise<RawManifest[]> => {
    const found = await all(repository);
    const referrers = await Promise.all(found.map(({ image, manifest }) => referrersOf(image, manifest, house)));
    return [...found.map(({ manifest }) => manifest), ...referrers.flat()];
  };
  return {
    tags: async (repository) => {
      const found = await all(repository);
      if (found.length === 0) return undefined;
      const name = repositoryName.exec(repository)?.[2] ?? "";
      const channels = (await house.channels.list({ limit: 1000 })).filter((channel) =>
        channel.name.startsWith(`${name}:`),
      );
      const words = channels
        .filter(({ image }) => found.some((one) => one.image.id === image))
        .map((channel) => channel.name.slice(name.length + 1));
      return [...new Set(["latest", ...found.map(({ tag }) => tag), ...words])];
    },
    manifest: async (repository, reference) =>
      reference.startsWith("sha256:")
        ? (await everyManifest(repository)).find(({ digest }) => digest === reference)
        : byTag(repository, reference),
    blob: async (repository, digest) => {
      const named = (await everyManifest(repository)).some(({ bytes }) => bytes.includes(digest));
      const sha256 = digest.replace(/^sha256:/, "");
      const found = named ? await stat(house.blobs.path(sha256)).catch(() => undefined) : undefined;
      return found && { size: found.size, read: (range) => house.blobs.read(sha256, range) };
    },
    referrers: async (repository, digest) => {
      const subject = (await all(repository)).find(({ manifest }) => manifest.digest === digest);
      if (subject === undefined) return [];
      return (await referrersOf(subject.image, subject.manifest, house)).map(descriptorOf);
    },
  };
}

async function treeManifest({ artifacts }: Image, { blobs }: House): Promise<RawManifest | undefined> {
  if (artifacts.oci === undefined) return undefined;
  return rawManifest(await readFile(blobs.path(artifacts.oci.sha256)), mediaTypes.manifest);
}

async function bootManifest({ artifacts, epoch, buildId }: Image, { blobs }: House): Promise<RawManifest | undefined> {
  const { kernel, initrd, rootfs, manifest } = artifacts;
  if (kernel === undefined || initrd === undefined) return undefined;
  await blobs.putBytes(emptyBlob);
  const files = Object.entries({ kernel, initrd, rootfs, "manifest.json": manifest }).flatMap(([title, digests]) =>
    digests === undefined ? [] : [{ title, sha256: digests.sha256, size: digests.size }],
  );
  return ociArtifact({ files, created: epoch, buildId });
}

const documentTypes: Readonly<Record<string, string>> = {
  "sbom.spdx.json": "application/spdx+json",
  "sbom.cdx.json": "application/vnd.cyclonedx+json",
  "provenance.json": "application/vnd.in-toto+json",
  "test-result.json": "application/vnd.in-toto+json",
};

/** What is said of an image: its documents, and the signatures on them. */
async function referrersOf(image: Image, subject: RawManifest, { blobs }: House): Promise<RawManifest[]> {
  await blobs.putBytes(emptyBlob);
  return Object.entries(image.documents)
    .filter(([title]) => title !== "inventory.json")
    .map(([title, { sha256, size }]) => {
      const mediaType = documentTypes[title] ?? "application/vnd.minisign.signature";
      return ociReferrer({ subject, blob: { title, mediaType, sha256, size }, created: image.epoch });
    });
}

function descriptorOf({ mediaType, digest, bytes }: RawManifest): Descriptor {
  const { artifactType, annotations } = JSON.parse(bytes.toString("utf8")) as Partial<Descriptor>;
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType && { artifactType }),
    ...(annotations && { annotations }),
  };
}

async function exportedOf(image: Image, house: House): Promise<Exported[]> {
  await requireVouched(image, join(house.data, "keys"), (digest) => house.blobs.path(digest));
  const tree = await treeManifest(image, house);
  if (tree === undefined) {
    throw new NetkilnError("invalid_input", `image ${image.name} was not packed as an OCI image`, {
      hint: `netkiln builds start ${image.name} --output ${[...image.outputs, "oci"].join(" --output ")}`,
    });
  }
  const referrers = await referrersOf(image, tree, house);
  return [{ manifest: tree, tag: image.buildId }, ...referrers.map((manifest) => ({ manifest }))];
}

/** The image as an OCI archive. */
export async function exportArchive(image: Image, house: House): Promise<ReturnType<typeof createReadStream>> {
  // Without what is said of it: clients ask which of several images is meant.
  const exported = (await exportedOf(image, house)).slice(0, 1);
  return house.layers.withWorkFolder(async (folder) => {
    const file = join(folder, "image.tar");
    await writeLayoutArchive(file, exported, (digest, range) =>
      house.blobs.read(digest.replace(/^sha256:/, ""), range),
    );
    const stream = createReadStream(file, { highWaterMark: 256 * 1024 });
    // The stream has the file open; that it loses its name does not matter to it.
    await new Promise((resolve, reject) => stream.once("open", resolve).once("error", reject));
    return stream;
  });
}

/** Sends the image, and what is said of it, to a registry. */
export async function pushImage(image: Image, reference: string, house: House): Promise<void> {
  const { registry, name, reference: tag } = parseReference(reference);
  const exported = await exportedOf(image, house);
  const [tree, ...rest] = exported;
  if (tree === undefined) return;
  await pushAll(
    openRegistry({ registry, name }, house.settings.registries ?? {}),
    [{ ...tree, tag }, ...rest],
    (digest, range) => house.blobs.read(digest.replace(/^sha256:/, ""), range),
  );
}

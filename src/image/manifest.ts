import type { ArtifactName, ImageArtifacts } from "./types.ts";

/** Media types of IMS manifests; clients find the artifacts of an image by them. */
const mediaTypes = {
  rootfs: "application/vnd.cray.image.rootfs.squashfs",
  kernel: "application/vnd.cray.image.kernel",
  initrd: "application/vnd.cray.image.initrd",
} as const;

/** Where an artifact of an image stands for IMS and BOS clients. */
export function s3Path(image: string, artifact: ArtifactName): string {
  return `s3://boot-images/${image}/${artifact === "manifest" ? "manifest.json" : artifact}`;
}

/**
 * The text of manifest.json, IMS form 1.0 with the size and sha256 of each artifact added. ETags are those of an S3
 * object that was put in one piece, so the md5.
 */
export function manifestText(image: string, created: string, artifacts: Omit<ImageArtifacts, "manifest">): string {
  const entries = (["rootfs", "kernel", "initrd"] as const).flatMap((name) => {
    const digests = artifacts[name];
    if (digests === undefined) return [];
    const link = { path: s3Path(image, name), etag: digests.md5, type: "s3" };
    return [{ link, type: mediaTypes[name], md5: digests.md5, sha256: digests.sha256, size: digests.size }];
  });
  return `${JSON.stringify({ version: "1.0", created, artifacts: entries }, null, 2)}\n`;
}

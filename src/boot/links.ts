import type { ArtifactName, Image } from "../image/index.ts";

/** The files of an image by the last part of their links. */
const artifacts: Readonly<Record<string, ArtifactName>> = {
  rootfs: "rootfs",
  kernel: "kernel",
  initrd: "initrd",
  "manifest.json": "manifest",
};

/** What is called `kernel` or `manifest.json` in an image's folder; undefined for all that is not served. */
export function artifactOfFile(file: string): ArtifactName | undefined {
  return Object.hasOwn(artifacts, file) ? artifacts[file] : undefined;
}

export function isS3(link: string): boolean {
  return /^s3:/i.test(link);
}

interface ImageFile {
  readonly image: string;
  readonly file: string;
}

/** The file of an image that a link names; s3:///BUCKET/KEY is the same as s3://BUCKET/KEY. */
export function fileOfLink(link: string): ImageFile | undefined {
  const [, image, file] = /^[sS]3:\/\/\/?boot-images\/([\w.-]+)\/([\w.-]+)$/.exec(link) ?? [];
  return image === undefined || file === undefined ? undefined : { image, file };
}

/** The image whose file an s3 link names, or undefined for other links. */
export function imageOfLink(link: string): string | undefined {
  return fileOfLink(link)?.image;
}

export type FindImage = (id: string) => Promise<Image | undefined>;

/** Why there is nothing behind an s3 link, in words; undefined for a good one. */
export async function whyNothing(link: string, findImage: FindImage): Promise<string | undefined> {
  const named = fileOfLink(link);
  if (named === undefined) return `${link} is no link to a file of an image (s3://boot-images/IMAGE/FILE)`;
  const image = await findImage(named.image);
  if (image?.id !== named.image) return `${link} leads to nothing: there is no image ${named.image}`;
  const artifact = artifactOfFile(named.file);
  if (artifact !== undefined && image.artifacts[artifact] !== undefined) return undefined;
  return `${link} leads to nothing: image ${image.name} has no ${named.file}`;
}

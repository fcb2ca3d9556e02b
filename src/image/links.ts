import { aboutMember, NetkilnError } from "../lib/errors.ts";
import { readS3Link } from "../lib/s3-link.ts";

/** Where a file is for IMS clients: `s3://BUCKET/KEY`. The etag is opaque. */
export interface Link {
  readonly path: string;
  readonly etag?: string | undefined;
}

/** What is kept here stands in these for IMS clients, so a link into them leads to something, or is a mistake. */
const ownBuckets: ReadonlySet<string> = new Set(["boot-images", "ims"]);

/** The id in a link to the manifest of an image of ours, or to the archive of a recipe. */
export function ownIdOf({ path }: Link): string | undefined {
  return /^s3:\/\/(?:boot-images\/([\w.-]+)\/manifest\.json|ims\/recipes\/([\w.-]+)\/recipe\.tar\.gz)$/
    .exec(path)
    ?.slice(1)
    .find((id) => id !== undefined);
}

/**
 * Throws for a link that no record can have. `taken` says whether another record has it: a file belongs to one record.
 * Of what stands in another bucket nothing can be known here.
 */
export function requireUsable(link: Link, taken: boolean): void {
  const bucket = readS3Link(link.path)?.bucket;
  if (bucket === undefined) throw aboutMember("link", `"${link.path}" is no link: it has to be s3://BUCKET/KEY`);
  if (taken) throw aboutMember("link", `${link.path} belongs to another record already`);
  if (ownBuckets.has(bucket)) throw aboutMember("link", `there is no file ${link.path}`);
}

/** The link that a record has after a patch; a link is given once. */
export function patchedLink(current: Link | undefined, wanted: Link): Link {
  if (current === undefined) return wanted;
  const sameEtag = wanted.etag === undefined || wanted.etag === current.etag;
  if (current.path === wanted.path && sameEtag) return current;
  throw new NetkilnError("conflict", `the record has the link ${current.path} already, and keeps it`, {
    hint: "make another record for another file",
  });
}

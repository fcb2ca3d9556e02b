/** The two parts of `s3://BUCKET/KEY`. */
export interface S3Link {
  readonly bucket: string;
  readonly key: string;
}

/**
 * Undefined for what is no such link, and for what would lead somewhere else when somebody takes its key for a path or
 * decodes it: dots for folders, empty parts, backslashes and control characters, also where they are written with `%`.
 */
export function readS3Link(link: string): S3Link | undefined {
  const [, bucket, key] = /^[sS]3:\/\/([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\/(\P{Cc}+)$/u.exec(link) ?? [];
  if (bucket === undefined || key === undefined) return undefined;
  const parts = decoded(key).split(/[/\\]/);
  return parts.some((part) => /^\.{0,2}$|\p{Cc}/u.test(part)) ? undefined : { bucket, key };
}

/** Only what counts in a path is decoded; what cannot be decoded stays as it is. */
function decoded(key: string): string {
  return key.replaceAll(/%([0-7][0-9a-f])/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

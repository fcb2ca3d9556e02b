import type { Readable } from "node:stream";
import { NetkilnError } from "../../lib/errors.ts";
import { connect, type Ask, type Connection, type RegistryOptions } from "./connection.ts";
import {
  maxManifestBytes,
  parseDocument,
  rawManifest,
  receive,
  verifyBytes,
  type OciSource,
  type RawManifest,
} from "./content.ts";
import { isDigest, type Repository } from "./reference.ts";
import { indexSchema, manifestSchema, mediaTypes, tagsSchema, type Descriptor } from "./schema.ts";

/** Opens the bytes of a blob, or a part of them; `start` and `end` count from 0, both inclusive. */
export type OpenBlob = (digest: string, range?: { start: number; end: number }) => Readable;

/** A repository of a registry that speaks the OCI distribution specification, version 1.1 or before. */
export interface Registry {
  /** `HOST/NAME` */
  readonly name: string;
  /** By tag or by digest. Throws `not_found`. */
  manifest(reference: string): Promise<RawManifest>;
  hasManifest(reference: string): Promise<boolean>;
  hasBlob(digest: string): Promise<boolean>;
  fetchBlob(descriptor: Pick<Descriptor, "digest" | "size">, file: string): Promise<void>;
  /** Uploads a blob that the repository has not; large ones in pieces. */
  pushBlob(descriptor: Pick<Descriptor, "digest" | "size">, open: OpenBlob): Promise<void>;
  /** Everything that it names has to be there. Without a tag it can be had by its digest alone. */
  pushManifest(manifest: RawManifest, tag?: string): Promise<void>;
  /** Manifests whose subject is the one of this digest. */
  referrers(digest: string): Promise<readonly Descriptor[]>;
  tags(): Promise<readonly string[]>;
}

const manifestTypes = [mediaTypes.manifest, mediaTypes.index, mediaTypes.dockerManifest, mediaTypes.dockerList];
/** Larger blobs are sent in pieces of this size, so that a long upload outlives its token and its proxy's limits. */
const pieceBytes = 64 * 1024 * 1024;
const maxPages = 10_000;

/** `pieceSize` in bytes; a registry may ask for larger pieces. */
export function openRegistry(
  repository: Repository,
  options: RegistryOptions = {},
  { pieceSize = pieceBytes }: { pieceSize?: number } = {},
): Registry {
  const connection = connect(repository, options);
  const name = `${repository.registry}/${repository.name}`;
  const parts = { connection, name };

  const registry: Registry = {
    name,
    manifest: (reference) => fetchManifest(parts, reference),
    hasManifest: (reference) => exists(parts, `manifests/${reference}`, `manifest ${reference} of ${name}`),
    hasBlob: (digest) => exists(parts, `blobs/${digest}`, `blob ${digest} of ${name}`),
    fetchBlob: async (descriptor, file) => {
      const what = `blob ${descriptor.digest} of ${name}`;
      const url = new URL(`blobs/${descriptor.digest}`, connection.base);
      const answer = await connection.ask("GET", url, { actions: "pull", what });
      await receive(connection.stream(answer, what), descriptor, file, what);
    },
    pushBlob: (descriptor, open) => pushBlob(parts, descriptor, open, pieceSize),
    pushManifest: async (manifest, tag) => {
      const takesSubjects = await putManifest(parts, manifest, tag ?? manifest.digest);
      const { subject } = parseDocument(manifestSchema.partial(), manifest.bytes, "the manifest");
      if (subject !== undefined && !takesSubjects) await addToFallback(registry, subject.digest, manifest);
    },
    referrers: (digest) => findReferrers(parts, registry, digest),
    tags: () => listTags(parts),
  };
  return registry;
}

/** A reference in a registry, as a source to take an image from. */
export function registrySource(registry: Registry, reference: string): OciSource {
  return {
    name: `${registry.name}${isDigest(reference) ? "@" : ":"}${reference}`,
    top: () => registry.manifest(reference),
    manifest: async (descriptor) => {
      const manifest = await registry.manifest(descriptor.digest);
      verifyBytes(manifest.bytes, descriptor, `manifest ${descriptor.digest} of ${registry.name}`);
      return manifest;
    },
    blob: (descriptor, file) => registry.fetchBlob(descriptor, file),
  };
}

interface Parts {
  readonly connection: Connection;
  readonly name: string;
}

async function fetchManifest({ connection, name }: Parts, reference: string): Promise<RawManifest> {
  const what = `manifest ${reference} of ${name}`;
  const answer = await connection.ask("GET", new URL(`manifests/${reference}`, connection.base), {
    headers: { accept: manifestTypes.join(", ") },
    actions: "pull",
    what,
  });
  const bytes = await connection.whole(answer, maxManifestBytes, what);
  const said = answer.headers.get("docker-content-digest");
  const digest = isDigest(reference) ? reference : said;
  if (digest !== null && isDigest(digest)) verifyBytes(bytes, { digest }, what);
  const mediaType = (answer.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
  return rawManifest(bytes, mediaType);
}

async function exists({ connection }: Parts, path: string, what: string): Promise<boolean> {
  const headers = { accept: [...manifestTypes, "*/*"].join(", ") };
  const options = { headers, actions: "pull", expected: [404], what } as const;
  const answer = await connection.ask("HEAD", new URL(path, connection.base), options);
  await answer.body?.cancel();
  return answer.status !== 404;
}

/** Begins an upload, sends the blob in one piece or in several, and ends the upload with its digest. */
async function pushBlob(
  { connection, name }: Parts,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  open: OpenBlob,
  pieceSize: number,
): Promise<void> {
  const what = `upload of blob ${digest} to ${name}`;
  const send = async (method: string, url: URL, headers: Record<string, string>, body?: Ask["body"]) => {
    const answer = await connection.ask(method, url, {
      headers,
      actions: "pull,push",
      what,
      ...(body !== undefined && { body }),
    });
    await answer.body?.cancel();
    return answer;
  };
  const next = (answer: Response) => {
    const location = answer.headers.get("location");
    if (location === null) throw new NetkilnError("work_failed", `${what}: the registry does not say where it goes on`);
    return new URL(location, connection.base);
  };
  const begun = await send("POST", new URL("blobs/uploads/", connection.base), { "content-length": "0" });
  let place = next(begun);
  const piece = Math.max(pieceSize, Number(begun.headers.get("oci-chunk-min-length") ?? 0) || 0);
  const type = { "content-type": "application/octet-stream" };
  /** Opened when it is needed, so that a failure to open it fails the upload; fetch waits for ever when it is too long. */
  const part = async function* (range?: { start: number; end: number }) {
    let left = range === undefined ? size : range.end - range.start + 1;
    for await (const chunk of open(digest, range) as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0)
      throw new NetkilnError("work_failed", `${what}: what is to be sent has not the size of ${size} bytes`);
  };
  const end = () => {
    const url = new URL(place);
    url.searchParams.set("digest", digest);
    return url;
  };
  try {
    if (size <= piece) {
      const body = size === 0 ? undefined : () => part();
      await send("PUT", end(), { ...type, "content-length": String(size) }, body);
      return;
    }
    for (let start = 0; start < size; start += piece) {
      const range = { start, end: Math.min(start + piece, size) - 1 };
      const length = String(range.end - range.start + 1);
      const headers = { ...type, "content-range": `${range.start}-${range.end}`, "content-length": length };
      place = next(await send("PATCH", place, headers, () => part(range)));
    }
    await send("PUT", end(), { ...type, "content-length": "0" });
  } catch (error) {
    // So that the registry keeps no half of it; when it is gone, it cannot be asked.
    await send("DELETE", place, {}).catch(() => undefined);
    throw error;
  }
}

/** Returns whether the registry keeps the list of referrers itself. */
async function putManifest({ connection, name }: Parts, manifest: RawManifest, reference: string): Promise<boolean> {
  const answer = await connection.ask("PUT", new URL(`manifests/${reference}`, connection.base), {
    headers: { "content-type": manifest.mediaType, "content-length": String(manifest.bytes.length) },
    body: () => manifest.bytes,
    actions: "pull,push",
    what: `upload of manifest ${reference} to ${name}`,
  });
  await answer.body?.cancel();
  const kept = answer.headers.get("docker-content-digest");
  if (kept !== null && isDigest(kept) && kept !== manifest.digest) {
    throw new NetkilnError("work_failed", `${name} has kept another manifest than it was given`, {
      output: [`given ${manifest.digest}`, `kept ${kept}`],
    });
  }
  return answer.headers.has("oci-subject");
}

/** Where referrers are listed by registries that do not know them (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(digest: string): string {
  return digest.replace(":", "-");
}

async function findReferrers(
  { connection, name }: Parts,
  registry: Registry,
  digest: string,
): Promise<readonly Descriptor[]> {
  const what = `list of referrers of ${digest} in ${name}`;
  const found: Descriptor[] = [];
  let url: URL | undefined = new URL(`referrers/${digest}`, connection.base);
  for (let page = 0; url !== undefined && page < maxPages; page += 1) {
    const options = { headers: { accept: mediaTypes.index }, actions: "pull", expected: [404], what } as const;
    const answer: Response = await connection.ask("GET", url, options);
    if (answer.status === 404) {
      await answer.body?.cancel();
      return fallbackReferrers(registry, digest);
    }
    const bytes = await connection.whole(answer, maxManifestBytes, what);
    found.push(...parseDocument(indexSchema, bytes, what).manifests);
    url = nextPage(answer, url);
  }
  return found;
}

async function fallbackReferrers(registry: Registry, digest: string): Promise<readonly Descriptor[]> {
  const tag = fallbackTag(digest);
  if (!(await registry.hasManifest(tag))) return [];
  const { bytes } = await registry.manifest(tag);
  return parseDocument(indexSchema, bytes, `the list of referrers ${tag} of ${registry.name}`).manifests;
}

async function addToFallback(registry: Registry, subject: string, manifest: RawManifest): Promise<void> {
  const known = await fallbackReferrers(registry, subject);
  if (known.some(({ digest }) => digest === manifest.digest)) return;
  const { artifactType, config, annotations } = parseDocument(manifestSchema, manifest.bytes, "the manifest");
  const added = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    artifactType: artifactType ?? config.mediaType,
    ...(annotations && { annotations }),
  };
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...known, added] };
  await registry.pushManifest(rawManifest(Buffer.from(JSON.stringify(index)), mediaTypes.index), fallbackTag(subject));
}

async function listTags({ connection, name }: Parts): Promise<readonly string[]> {
  const what = `list of tags of ${name}`;
  const tags: string[] = [];
  let url: URL | undefined = new URL("tags/list?n=1000", connection.base);
  for (let page = 0; url !== undefined && page < maxPages; page += 1) {
    const answer: Response = await connection.ask("GET", url, { actions: "pull", what });
    const bytes = await connection.whole(answer, maxManifestBytes, what);
    tags.push(...(parseDocument(tagsSchema, bytes, what).tags ?? []));
    url = nextPage(answer, url);
  }
  return tags;
}

/**
 * RFC 8288, as the distribution specification uses it: `Link: <URL>; rel="next"`. The next page is asked for where
 * the first one was, as registries behind a proxy do not always know their own address.
 */
function nextPage(answer: Response, from: URL): URL | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(answer.headers.get("link") ?? "")?.[1];
  if (target === undefined || !URL.canParse(target, from.href)) return undefined;
  const { pathname, search } = new URL(target, from);
  const next = new URL(`${pathname}${search}`, from);
  return next.href === from.href ? undefined : next;
}

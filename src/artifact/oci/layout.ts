import { createReadStream, createWriteStream } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { createTarDecoder } from "modern-tar";
import { NetkilnError } from "../../lib/errors.ts";
import { digestFile } from "../../lib/files.ts";
import { maxManifestBytes, parseDocument, rawManifest, receive, verifyBytes, type OciSource } from "./content.ts";
import { configSchema, dockerArchiveSchema, indexSchema, layoutSchema, mediaTypes, type Descriptor } from "./schema.ts";

/** The files of a layout or an archive, by their names in it; undefined for one that is not there. */
type Files = (name: string) => string | undefined;

const refName = "org.opencontainers.image.ref.name";

/** An OCI image layout in a folder; `reference` is the name that its index gives an image. */
export async function layoutSource(folder: string, reference: string | undefined): Promise<OciSource> {
  return openLayout((name) => join(folder, name), `oci:${folder}`, reference);
}

/** The same in a tar archive, plain or gzip; its files are unpacked into the existing, empty folder `work`. */
export async function layoutArchiveSource(
  file: string,
  reference: string | undefined,
  work: string,
): Promise<OciSource> {
  const name = `oci-archive:${file}`;
  return openLayout(await unpack(file, work, name), name, reference);
}

async function openLayout(files: Files, name: string, reference: string | undefined): Promise<OciSource> {
  parseDocument(layoutSchema, await readSmall(files, "oci-layout", name), `oci-layout of ${name}`);
  const what = `index.json of ${name}`;
  const index = parseDocument(indexSchema, await readSmall(files, "index.json", name), what);
  const named = index.manifests.map(({ annotations }) => annotations?.[refName]).filter((ref) => ref !== undefined);
  const manifests = index.manifests.filter(
    ({ annotations }) => reference === undefined || annotations?.[refName] === reference,
  );
  if (manifests.length === 0) {
    const wanted = reference === undefined ? "no image" : `no image named "${reference}"`;
    throw new NetkilnError("not_found", `${name} has ${wanted}`, {
      hint: named.length > 0 ? `it has: ${named.join(", ")}` : "none of its images has a name; leave the name out",
    });
  }
  const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  return {
    name: reference === undefined ? name : `${name}:${reference}`,
    // Several images of one name are one image for several architectures.
    top: async () => rawManifest(Buffer.from(JSON.stringify({ ...index, manifests })), mediaTypes.index),
    manifest: async (descriptor) => {
      const bytes = await readSmall(files, blob(descriptor.digest), name);
      verifyBytes(bytes, descriptor, `manifest ${descriptor.digest} of ${name}`);
      return rawManifest(bytes, descriptor.mediaType);
    },
    blob: (descriptor, file) => copy(files, blob(descriptor.digest), descriptor, file, name),
  };
}

/**
 * What `docker save` and `podman save` write. `which` is the name of an image in it or `@INDEX`. The archive has no
 * manifest with digests, so one is made from what is in it: the config names the layers' content.
 */
export async function dockerArchiveSource(file: string, which: string | undefined, work: string): Promise<OciSource> {
  const name = `docker-archive:${file}`;
  const files = await unpack(file, work, name);
  const what = `manifest.json of ${name}`;
  const images = parseDocument(dockerArchiveSchema, await readSmall(files, "manifest.json", name), what);
  const chosen = images.filter(
    ({ RepoTags }, index) =>
      which === undefined || which === `@${index}` || RepoTags?.some((tag) => full(tag) === full(which)) === true,
  );
  const [image] = chosen;
  if (image === undefined || chosen.length > 1) {
    const names = images.flatMap(({ RepoTags }, index) => RepoTags ?? [`@${index}`]).join(", ");
    const wanted = which === undefined ? `${chosen.length} images, and none is named` : `no image named "${which}"`;
    throw new NetkilnError("not_found", `${name} has ${wanted}`, { hint: `it has: ${names}` });
  }
  const known = new Map<string, string>();
  const describe = async (path: string, mediaType: string): Promise<Descriptor> => {
    const place = need(files, path, name);
    const { sha256, size } = await digestFile(place);
    known.set(`sha256:${sha256}`, path);
    return { mediaType, digest: `sha256:${sha256}`, size };
  };
  const config = await describe(image.Config, mediaTypes.config);
  parseDocument(configSchema, await readSmall(files, image.Config, name), `config of ${name}`);
  const layers: Descriptor[] = [];
  for (const path of image.Layers) layers.push(await describe(path, await layerType(need(files, path, name))));
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers };
  return {
    name,
    top: async () => rawManifest(Buffer.from(JSON.stringify(manifest)), mediaTypes.manifest),
    manifest: async ({ digest }) => {
      throw new NetkilnError("not_found", `there is no manifest ${digest} of ${name}`);
    },
    blob: (descriptor, target) => copy(files, known.get(descriptor.digest) ?? "", descriptor, target, name),
  };
}

/** A docker-reference as containers-transports(5) completes it: from the registry docker.io, with the tag `latest`. */
function full(name: string): string {
  const tagged = /:[^/]*$/.test(name) ? name : `${name}:latest`;
  const [first = "", ...rest] = tagged.split("/");
  if (rest.length === 0) return `docker.io/library/${tagged}`;
  return /[.:]/.test(first) || first === "localhost" ? tagged : `docker.io/${tagged}`;
}

async function layerType(file: string): Promise<string> {
  const magic = (await firstBytes(file)).toString("hex");
  if (magic.startsWith("1f8b")) return `${mediaTypes.layer}+gzip`;
  return magic === "28b52ffd" ? `${mediaTypes.layer}+zstd` : mediaTypes.layer;
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function need(files: Files, path: string, name: string): string {
  const file = files(path);
  if (file === undefined) throw new NetkilnError("invalid_input", `${name} has no file ${path}`);
  return file;
}

async function readSmall(files: Files, path: string, name: string): Promise<Buffer> {
  const file = need(files, path, name);
  try {
    const { size } = await stat(file);
    if (size <= maxManifestBytes) return await readFile(file);
  } catch (error) {
    throw unreadable(path, name, error);
  }
  throw new NetkilnError("invalid_input", `${path} of ${name} is too large: more than ${maxManifestBytes} bytes`);
}

async function copy(files: Files, path: string, descriptor: Descriptor, target: string, name: string): Promise<void> {
  const source = need(files, path, name);
  await stat(source).catch((error: unknown) => {
    throw unreadable(path, name, error);
  });
  await receive(createReadStream(source), descriptor, target, `blob ${descriptor.digest} of ${name}`);
}

function unreadable(path: string, name: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  const missing = code === "ENOENT" || code === "ENOTDIR";
  return new NetkilnError("invalid_input", missing ? `${name} has no file ${path}` : `${path} of ${name}: ${code}`, {
    hint: "an OCI layout holds oci-layout, index.json and blobs/; the path is that of the machine that builds",
  });
}

/**
 * Unpacks the files of an archive under names of our own, so that no name in it can be a path of this machine.
 * Links are followed in the archive alone: older versions of docker save link layers that are equal.
 */
async function unpack(file: string, work: string, name: string): Promise<Files> {
  const entries = new Map<string, { file: string } | { link: string }>();
  const normal = (path: string) => posix.normalize(path).replace(/^(\.?\/)+/, "");
  try {
    const gzip = (await firstBytes(file)).toString("hex").startsWith("1f8b");
    const bytes = createReadStream(file);
    const plain = gzip ? bytes.compose(createGunzip()) : bytes;
    const decoder = createTarDecoder({ strict: true });
    for await (const { header, body } of Readable.toWeb(plain).pipeThrough(decoder)) {
      const path = normal(header.name);
      if (header.type === "file") {
        const target = join(work, String(entries.size));
        await pipeline(Readable.fromWeb(body), createWriteStream(target, { flags: "wx" }));
        entries.set(path, { file: target });
        continue;
      }
      await body.cancel();
      const link = header.linkname ?? "";
      if (header.type === "symlink") entries.set(path, { link: normal(join(posix.dirname(path), link)) });
      if (header.type === "link") entries.set(path, { link: normal(link) });
    }
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (syscall !== undefined && code !== "ENOENT" && code !== "EISDIR") throw error;
    throw new NetkilnError("invalid_input", `${name} is no tar archive, or a damaged one: ${message}`, {
      hint: "skopeo copy, podman save and docker save write such archives",
    });
  }
  return (path) => {
    let found = entries.get(normal(path));
    for (let hops = 0; found !== undefined && "link" in found && hops < 8; hops += 1) found = entries.get(found.link);
    return found !== undefined && "file" in found ? found.file : undefined;
  };
}

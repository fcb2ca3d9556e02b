import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import {
  imageLayers,
  openSource,
  parseConfig,
  parseManifest,
  pullImage,
  type BlobStore,
  type ImageLayer,
  type RegistryOptions,
} from "../../artifact/index.ts";
import type { FromSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { sha256 } from "../../lib/files.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { emptyTree, scanLayerTar, type ScannedLayer, type ScannedTree } from "./scan-layer-tar.ts";
import type { BaseMaker, BaseWorld, Lock } from "./types.ts";

/** A tree from the layers of an OCI or Docker image, from a registry, a layout or an archive of one. */
export function ociBase(registry: Pick<RegistryOptions, "authFile" | "insecure">): BaseMaker<FromSpec> {
  return {
    title: (spec) => `base (${nameOf(spec)})`,
    inputs: async (spec) => ({ oci: nameOf(spec), arch: spec.arch, tar: await tarVersion() }),
    lockedBy: (spec) => ({ oci: nameOf(spec), arch: spec.arch }),
    resolve: (spec, world) => resolve(spec, world, registry),
    make,
  };
}

function nameOf({ from }: FromSpec): string {
  if (from.oci === undefined)
    throw new NetkilnError("invalid_input", "recipe.yaml does not name an OCI image (from.oci)");
  return from.oci;
}

async function tarVersion(): Promise<string> {
  const { stdout } = await run(["tar", "--version"]);
  return stdout.split("\n")[0] ?? "";
}

async function resolve(
  spec: FromSpec,
  world: BaseWorld,
  registry: Pick<RegistryOptions, "authFile" | "insecure">,
): Promise<Lock> {
  const work = join(world.folder, "source");
  await mkdir(work);
  try {
    const source = await openSource(nameOf(spec), {
      registry: { ...registry, signal: world.run.signal },
      path: (named) => pathOf(named, spec, world),
      work,
    });
    const { manifest, config, layers } = await pullImage(source, spec.arch, world.blobs, world.folder);
    const numbered = layers.map((digest, index) => [`layer ${index}`, digest] as const);
    return { family: "files", packages: [], files: { manifest, config, ...Object.fromEntries(numbered) } };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** An absolute path is one of the machine that builds, any other one of the recipe. */
function pathOf(named: string, spec: FromSpec, { recipeFile }: BaseWorld): string {
  if (isAbsolute(named)) return named;
  return nameOf(spec).startsWith("oci:") ? join(recipeFile(join(named, "oci-layout")), "..") : recipeFile(named);
}

async function make(spec: FromSpec, lock: Lock, tree: string, world: BaseWorld): Promise<void> {
  const name = nameOf(spec);
  const locked = (file: string) => {
    const digest = lock.files[file];
    if (digest === undefined) throw new NetkilnError("invalid_input", `the lock of ${name} names no ${file}`);
    return digest;
  };
  const manifest = parseManifest({ bytes: await readBlob(world.blobs, locked("manifest")) }, name);
  if (manifest.config.digest !== `sha256:${locked("config")}`) throw notLocked(name, "config");
  const config = parseConfig(await readBlob(world.blobs, locked("config")), name, spec.arch);
  const below = emptyTree();
  for (const [index, layer] of imageLayers(manifest, config, name).entries()) {
    if (layer.descriptor.digest !== `sha256:${locked(`layer ${index}`)}`) throw notLocked(name, `layer ${index}`);
    await unpackLayer(layer, { name: `layer ${index} of ${name}`, below, tree, world });
  }
}

function notLocked(name: string, file: string): NetkilnError {
  return new NetkilnError("invalid_input", `the lock of ${name} and its manifest do not name the same ${file}`);
}

async function readBlob(blobs: BlobStore, digest: string): Promise<Buffer> {
  const bytes = await readFile(blobs.path(digest));
  if (sha256(bytes) === digest) return bytes;
  throw new NetkilnError("work_failed", `the blob ${digest} of netkiln's own store is damaged: found ${sha256(bytes)}`);
}

interface Unpacking {
  /** The layer in messages. */
  readonly name: string;
  readonly below: ScannedTree;
  readonly tree: string;
  readonly world: BaseWorld;
}

/**
 * Every byte is looked at before the first one is unpacked: the tar file that was scanned, and whose digest is the one
 * that the image's config promises, is the file that is unpacked.
 */
async function unpackLayer(layer: ImageLayer, { name, below, tree, world }: Unpacking): Promise<void> {
  const blob = world.blobs.path(layer.descriptor.digest.slice("sha256:".length));
  const unpacked = join(world.folder, "layer.tar");
  const archive = layer.form === "plain" ? blob : unpacked;
  try {
    if (layer.form !== "plain") await decompress(blob, layer.form, unpacked, name, world);
    const hash = createHash("sha256");
    const bytes = createReadStream(archive, { highWaterMark: 256 * 1024, signal: world.run.signal });
    const observed = async function* () {
      for await (const chunk of bytes as AsyncIterable<Buffer>) {
        hash.update(chunk);
        yield chunk;
      }
    };
    // A scan that refuses the layer leaves the rest of it unread.
    const scanned = await scanLayerTar(observed(), { name, below }).finally(() => bytes.destroy());
    const found = `sha256:${hash.digest("hex")}`;
    if (found !== layer.diffId) {
      throw new NetkilnError("invalid_input", `${name} is not what the image's config says: its content is damaged`, {
        output: [`expected ${layer.diffId}`, `found    ${found}`],
      });
    }
    world.run.onLine(`${name}: ${scanned.entries} entries, ${scanned.size} bytes of files`, "stdout");
    await clearBelow(tree, scanned);
    await extract(archive, tree, name, world);
  } finally {
    await rm(unpacked, { force: true });
  }
}

async function decompress(
  blob: string,
  form: "gzip" | "zstd",
  target: string,
  name: string,
  { run }: BaseWorld,
): Promise<void> {
  try {
    if (form === "gzip") {
      const { signal } = run;
      await pipeline(createReadStream(blob), createGunzip(), createWriteStream(target, { flags: "wx" }), { signal });
      return;
    }
    // Node's own zstd stops after the first frame, and what builders write has several.
    await runIsolated(["zstd", "--decompress", "--quiet", "-o", target, "--", blob], run);
  } catch (error) {
    run.signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    if (!(error instanceof NetkilnError) && !String(code).startsWith("Z_")) throw error;
    const output = error instanceof NetkilnError ? error.output : [message];
    throw new NetkilnError("invalid_input", `${name} cannot be decompressed (${form})`, { output, detail: error });
  }
}

/** Removes what the layer says is gone, and what it makes anew as another thing. Links are never followed. */
async function clearBelow(tree: string, { replaced, removed, emptied }: ScannedLayer): Promise<void> {
  for (const path of [...replaced, ...removed]) {
    if (await standsInFolders(tree, path)) await rm(join(tree, path), { recursive: true, force: true });
  }
  for (const path of emptied) {
    const folder = join(tree, path);
    if (!(await standsInFolders(tree, join(path, "entry")))) continue;
    for (const entry of await readdir(folder)) await rm(join(folder, entry), { recursive: true, force: true });
  }
}

/** Whether every folder on the way to a path is there and is one. */
async function standsInFolders(tree: string, path: string): Promise<boolean> {
  let folder = tree;
  for (const part of path.split("/").slice(0, -1)) {
    folder = join(folder, part);
    const found = await lstat(folder).catch(() => undefined);
    if (found?.isDirectory() !== true) return false;
  }
  return true;
}

/** Without the capability to make devices and without a network: what the scan has let through needs neither. */
async function extract(archive: string, tree: string, name: string, { run }: BaseWorld): Promise<void> {
  await runIsolated(
    [
      ...(["setpriv", "--bounding-set", "-mknod", "unshare", "--net", "--", "tar"] as const),
      ...["--extract", "--force-local", "--file", archive, "--directory", tree],
      ...["--numeric-owner", "--same-owner", "--same-permissions", "--delay-directory-restore"],
      // What overlayfs notes for itself would change what a tree means that is used as a layer.
      ...["--xattrs", "--xattrs-include=*", "--xattrs-exclude=trusted.overlay.*"],
      ...["--exclude=.wh.*", "--warning=no-timestamp", "--warning=no-unknown-keyword"],
    ],
    { ...run, name: `tar (${name})` },
  );
}

import { link, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "../../artifact/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { canonicalJson, digestFile } from "../../lib/files.ts";
import { checkSignatures, type PackageFiles, type RpmRepository } from "./rpm-keys.ts";
import { runApart } from "./rpm-world.ts";
import type { BaseWorld, Lock, LockedPackage } from "./types.ts";

/** In a lock's files: which packages came from which repository, as JSON {NAME: [SHA256…]}. */
const originsName = "repositories.json";

/** What was downloaded from a repository, as files in the step's folder. */
export interface Downloaded extends PackageFiles {
  /** modules.yaml, plain or compressed as it came; without it dnf takes no package of a module. */
  readonly modules: string | undefined;
}

/** Every .rpm below a folder, sorted. */
export async function packagesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names
    .filter((name) => name.endsWith(".rpm"))
    .sort()
    .map((name) => join(folder, name));
}

/** Checks what was downloaded, and only then brings all of it into the blob store. */
export async function lockDownloads(downloads: readonly Downloaded[], world: BaseWorld): Promise<Lock> {
  await checkSignatures(downloads, world);
  const packages: LockedPackage[] = [];
  const files: Record<string, string> = {};
  const origins: Record<string, string[]> = {};
  for (const { repository, files: found, modules } of downloads) {
    const origin: string[] = (origins[repository.name] = []);
    const named = found.length === 0 ? [] : await readNames(found, world);
    for (const [index, file] of found.entries()) {
      const { sha256, size } = await world.blobs.putFile(file);
      packages.push({ ...(named[index] as Named), sha256, size });
      origin.push(sha256);
    }
    origin.sort();
    if (modules !== undefined && found.length > 0) {
      const ending = /modules\.yaml[.a-z0-9]*$/.exec(modules)?.[0] ?? "modules.yaml";
      files[`${repository.name}/${ending}`] = (await world.blobs.putFile(modules)).sha256;
    }
  }
  files[originsName] = (await world.blobs.putBytes(canonicalJson(origins))).sha256;
  const order = ({ name, version, arch }: LockedPackage) => [name, version, arch].join("\0");
  return { family: "rpm", packages: packages.sort((a, b) => (order(a) < order(b) ? -1 : 1)), files };
}

type Named = Pick<LockedPackage, "name" | "version" | "arch">;

const nameFormat = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";

function parseNames(stdout: string): Named[] {
  return stdout
    .split("\n")
    .map((line) => line.split("\t"))
    .flatMap(([name, version, arch]) => (name && version && arch ? [{ name, version, arch }] : []));
}

async function readNames(files: readonly string[], world: BaseWorld): Promise<Named[]> {
  const argv = ["rpm", "--nosignature", "--qf", nameFormat, "-qp", ...files] as const;
  const names = parseNames((await runApart(argv, world)).stdout);
  if (names.length === files.length) return names;
  throw new NetkilnError("internal", `rpm named ${names.length} of ${files.length} packages`);
}

/** NAME-VERSION-RELEASE.ARCH.rpm, without the epoch, as repositories name files. */
function packageFileName({ name, version, arch }: LockedPackage): string {
  return `${name}-${version.replace(/^\d+:/, "")}.${arch}.rpm`;
}

/**
 * Makes `repositories/NAME` in the step's folder for each repository that the lock has packages of: links to the
 * blobs, checked anew against the lock and the keys, and metadata by createrepo_c. Returns those repositories.
 */
export async function makeRepositories(
  repositories: readonly RpmRepository[],
  lock: Lock,
  world: BaseWorld,
): Promise<readonly RpmRepository[]> {
  const origins = await readOrigins(lock, world.blobs);
  const made: PackageFiles[] = [];
  for (const repository of repositories) {
    const own = new Set(origins[repository.name]);
    const packages = lock.packages.filter((one) => own.has(one.sha256));
    if (packages.length === 0) continue;
    const folder = join(world.folder, "repositories", repository.name);
    await mkdir(folder, { recursive: true });
    for (const one of packages) await linkBlob(one, join(folder, packageFileName(one)), world.blobs);
    made.push({ repository, files: await packagesBelow(folder) });
  }
  const count = made.reduce((sum, { files }) => sum + files.length, 0);
  if (count !== lock.packages.length) {
    const names = Object.keys(origins).join(", ");
    throw new NetkilnError("invalid_input", `the lock is of other repositories than the recipe has: ${names}`);
  }
  await checkSignatures(made, world);
  for (const { repository } of made) await describeRepository(repository.name, lock, world);
  return made.map(({ repository }) => repository);
}

async function describeRepository(name: string, lock: Lock, world: BaseWorld): Promise<void> {
  const folder = join(world.folder, "repositories", name);
  await runApart(["createrepo_c", "--quiet", "--no-database", "--workers", "1", folder], world);
  for (const [file, digest] of Object.entries(lock.files)) {
    if (!file.startsWith(`${name}/modules.yaml`)) continue;
    const modules = join(world.folder, "repositories", `${name}-${file.slice(name.length + 1)}`);
    await link(world.blobs.path(digest), modules);
    await runApart(["modifyrepo_c", "--mdtype=modules", modules, join(folder, "repodata")], world);
  }
}

async function readOrigins(lock: Lock, blobs: BlobStore): Promise<Readonly<Record<string, readonly string[]>>> {
  const text = await readFile(blobs.path(lock.files[originsName] ?? ""), "utf8");
  return JSON.parse(text) as Record<string, string[]>;
}

async function linkBlob(one: LockedPackage, path: string, blobs: BlobStore): Promise<void> {
  const found = await digestFile(blobs.path(one.sha256)).catch(() => undefined);
  if (found?.sha256 !== one.sha256) {
    const state = found === undefined ? "is not in the blob store" : "is damaged in the blob store";
    throw new NetkilnError("work_failed", `${packageFileName(one)} (sha256 ${one.sha256}) ${state}`, {
      hint: "lock the recipe's packages anew",
    });
  }
  await link(blobs.path(one.sha256), path);
}

/** Compares what is installed in the tree with the lock; throws `work_failed` where they differ. */
export async function compareInstalled(tree: string, lock: Lock, world: BaseWorld): Promise<void> {
  const { stdout } = await runApart(["rpm", "--root", tree, "-qa", "--qf", nameFormat], world);
  const text = ({ name, version, arch }: Named) => `${name}-${version}.${arch}`;
  const found = new Set(parseNames(stdout).map(text));
  const wanted = new Set(lock.packages.map(text));
  const missing = [...wanted].filter((name) => !found.has(name)).map((name) => `not installed: ${name}`);
  // Keys that were imported are packages without an architecture.
  const extra = [...found].filter((name) => !wanted.has(name) && !/^gpg-pubkey-.*\(none\)$/.test(name));
  if (missing.length + extra.length === 0) return;
  throw new NetkilnError("work_failed", "the tree does not have exactly the packages of the lock", {
    output: [...missing, ...extra.map((name) => `not in the lock: ${name}`)],
  });
}

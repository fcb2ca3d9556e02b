import { stat } from "node:fs/promises";
import type { BlobStore } from "../../artifact/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { canonicalJson, digestFile, sha256 } from "../../lib/files.ts";
import type { Lock, LockedPackage } from "./types.ts";

/** Sorted as a lock has to be. */
export function sortPackages<T extends LockedPackage>(packages: readonly T[]): T[] {
  const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return [...packages].sort(
    (a, b) => inOrder(a.name, b.name) || inOrder(a.version, b.version) || inOrder(a.arch, b.arch),
  );
}

/** One text for equal locks, whatever the order of their keys: JSON with a line for each package. */
export function lockText({ family, packages, files }: Lock): string {
  const lines = sortPackages(packages).map(({ name, version, arch, sha256, size }) =>
    canonicalJson({ name, version, arch, sha256, size }),
  );
  return `{"family":${JSON.stringify(family)},"files":${canonicalJson(files)},"packages":[${lines
    .map((line) => `\n${line}`)
    .join(",")}\n]}\n`;
}

/** What a lock is known by: the sha256 of its text. */
export function lockDigest(lock: Lock): string {
  return sha256(lockText(lock));
}

export interface LockSummary {
  readonly digest: string;
  readonly family: Lock["family"];
  readonly packages: number;
  /** Of all packages as they are fetched. */
  readonly bytes: number;
}

export function lockSummary(lock: Lock): LockSummary {
  const bytes = lock.packages.reduce((sum, { size }) => sum + size, 0);
  return { digest: lockDigest(lock), family: lock.family, packages: lock.packages.length, bytes };
}

/** A package that the one lock has and the other has not. */
export type PackageName = Pick<LockedPackage, "name" | "version" | "arch">;

export interface PackageChange {
  readonly name: string;
  readonly arch: string;
  /** Versions. They are equal when a package of the same version has other bytes. */
  readonly from: string;
  readonly to: string;
}

/** All sorted by name. */
export interface LockChanges {
  readonly added: readonly PackageName[];
  readonly removed: readonly PackageName[];
  readonly changed: readonly PackageChange[];
  /** Names of files other than packages that are new, gone, or of other bytes. */
  readonly files: readonly string[];
}

/** What a tree made from `now` has that one from `before` has not, and the other way round. */
export function compareLocks(before: Lock, now: Lock): LockChanges {
  const added: PackageName[] = [];
  const removed: PackageName[] = [];
  const changed: PackageChange[] = [];
  const [old, fresh] = [byNameAndArch(before.packages), byNameAndArch(now.packages)];
  for (const key of [...new Set([...old.keys(), ...fresh.keys()])].sort()) {
    // Several versions of one name can stand side by side, as kernels do; those that stayed are no change.
    const [mine, theirs] = [old.get(key) ?? [], fresh.get(key) ?? []];
    const gone = mine.filter((one) => !theirs.some((other) => other.sha256 === one.sha256));
    const come = theirs.filter((one) => !mine.some((other) => other.sha256 === one.sha256));
    const pairs = Math.min(gone.length, come.length);
    for (const [index, { name, arch, version: from }] of gone.slice(0, pairs).entries()) {
      changed.push({ name, arch, from, to: come[index]?.version ?? "" });
    }
    removed.push(...gone.slice(pairs).map(nameOf));
    added.push(...come.slice(pairs).map(nameOf));
  }
  const names = [...new Set([...Object.keys(before.files), ...Object.keys(now.files)])].sort();
  const files = names.filter((name) => before.files[name] !== now.files[name]);
  return { added, removed, changed, files };
}

const nameOf = ({ name, version, arch }: LockedPackage): PackageName => ({ name, version, arch });

function byNameAndArch(packages: readonly LockedPackage[]): Map<string, LockedPackage[]> {
  return Map.groupBy(sortPackages(packages), ({ name, arch }) => `${name} ${arch}`);
}

/** Whether a blob is there with all of its bytes as they were; reads it to the end. */
export async function isWhole(blobs: BlobStore, wanted: { sha256: string; size?: number }): Promise<boolean> {
  const file = blobs.path(wanted.sha256);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || (wanted.size !== undefined && found.size !== wanted.size)) return false;
  return (await digestFile(file)).sha256 === wanted.sha256;
}

/** Throws `work_failed`, which names them, when blobs of a lock are gone or are not what they were. */
export async function requireWhole(blobs: BlobStore, lock: Lock): Promise<void> {
  const broken: string[] = [];
  for (const wanted of lock.packages) {
    if (!(await isWhole(blobs, wanted))) broken.push(`${wanted.name} ${wanted.version} (sha256 ${wanted.sha256})`);
  }
  for (const [name, sha256] of Object.entries(lock.files)) {
    if (!(await isWhole(blobs, { sha256 }))) broken.push(`${name} (sha256 ${sha256})`);
  }
  if (broken.length === 0) return;
  const what = broken.length === 1 ? "1 file of the package lock is" : `${broken.length} files of the package lock are`;
  throw new NetkilnError("work_failed", `${what} missing or damaged: ${broken[0]}`, {
    output: broken.slice(0, 20),
    hint: "lock the recipe's packages again: what is not as it was is fetched anew",
  });
}

import type { BlobStore } from "../../artifact/index.ts";
import type { RunOptions } from "../../lib/exec.ts";

/** Exactly what a tree is made of: with the same lock, the same tree comes out anywhere and at any time. */
export interface Lock {
  readonly family: "deb" | "rpm" | "files";
  /** Sorted by name, then version, then architecture; each is a blob. */
  readonly packages: readonly LockedPackage[];
  /** What else it is made of, by name: blobs, by their sha256. */
  readonly files: Readonly<Record<string, string>>;
}

export interface LockedPackage {
  readonly name: string;
  /** As the package manager compares it: with epoch, when it has one. */
  readonly version: string;
  readonly arch: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** Where a base is made. */
export interface BaseWorld {
  readonly blobs: BlobStore;
  /** `deb` lines from netkiln's configuration, instead of this host's own. */
  readonly aptSources: readonly string[] | undefined;
  /** A folder of this step's own on the file system of layers and blobs; it is gone afterwards. */
  readonly folder: string;
  /** Where a file of the recipe can be read; throws `invalid_input` when there is none. */
  readonly recipeFile: (path: string) => string;
  readonly run: Required<Pick<RunOptions, "onLine">> & { readonly signal: AbortSignal };
}

/** A way to come by a root tree. `index.ts` lists them all. */
export interface BaseMaker<Spec> {
  /** What operators call the step. */
  title(spec: Spec): string;
  /** Everything but the lock that can change the tree, by name; also the versions of the tools that make it. */
  inputs(spec: Spec): Promise<Readonly<Record<string, string>>>;
  /** What of the description decides the lock; two specs for which it is equal share one. */
  lockedBy(spec: Spec): Readonly<Record<string, string>>;
  /** Finds out what the tree is to be made of, now, and brings all of it into the blob store. The only step on the network. */
  resolve(spec: Spec, world: BaseWorld): Promise<Lock>;
  /** Makes the tree in the empty folder `tree`, from the lock and the recipe's files alone, without a network. */
  make(spec: Spec, lock: Lock, tree: string, world: BaseWorld): Promise<void>;
}

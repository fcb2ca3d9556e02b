import type { Digests } from "../lib/files.ts";
import type { ElSpec, RecipeSpec, SuseSpec } from "./schema.ts";

/** Architectures as IMS names them. */
export const architectures = ["x86_64", "aarch64"] as const;
export type Arch = (typeof architectures)[number];

/** Kinds of recipes, and what they make, as IMS names them. */
export const recipeTypes = ["kiwi-ng", "packer"] as const;
export type RecipeType = (typeof recipeTypes)[number];
export const linuxDistributions = ["sles12", "sles15", "centos7"] as const;
export type LinuxDistribution = (typeof linuxDistributions)[number];

/** Forms of a tree: `rootfs` is a squashfs, `oci` the manifest of an OCI image, `verity` the hash tree of the rootfs. */
export const artifactNames = ["rootfs", "kernel", "initrd", "erofs", "cpio.gz", "cpio.zst", "verity", "oci"] as const;

/** The files of an image; `manifest` is the IMS manifest that lists the others. */
export type ArtifactName = (typeof artifactNames)[number] | "manifest";

/** An image of a recipe without a kernel has neither kernel nor initrd and cannot be booted. */
export type ImageArtifacts = Readonly<Partial<Record<(typeof artifactNames)[number], Digests>>> & {
  readonly manifest: Digests;
};

/** Where a tree's packages come from: an apt archive, or RPM repositories with keys that are blobs. */
export type PackageSource =
  | { readonly suite: string; readonly components: readonly string[] }
  | (Pick<ElSpec | SuseSpec, "distribution" | "repositories" | "exclude_packages"> & {
      /** Blobs with the keys, by their paths in the recipe. */
      readonly keys: Readonly<Record<string, string>>;
    });

/** A playbook at an exact commit that configured the image. */
export interface ImageCommit {
  readonly name?: string;
  readonly url: string;
  readonly playbook: string;
  readonly commit: string;
  readonly branch?: string;
}

/** What was found out about an image after it was published; newest last. */
export interface Attestation {
  readonly kind: "reproduced";
  readonly result: "REPRODUCED" | "DIFFERENT" | "INCOMPLETE";
  readonly created: string;
  /** The in-toto statement, and minisign's signature on it: blobs. */
  readonly statement: string;
  readonly signature: string;
}

/** A layer that was made by hand, in a shell: nothing can make it again. */
export interface ManualLayer {
  /** Its diff ID. */
  readonly layer: string;
  /** The account of the build host that made it, as sudo(8) tells it where it was used. */
  readonly by: string;
  readonly at: string;
  readonly note?: string;
}

/** A published image. A name may be borne by several; the newest is meant when a name is given. */
export interface Image {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly arch: Arch;
  /** Identity of the content, as /etc/netkiln/image-release says it and a booted node reports it. */
  readonly buildId: string;
  /** The build that published it. */
  readonly build: string;
  /** Layers of its root tree by diff ID, the topmost first. */
  readonly layers: readonly string[];
  /** The chain ID of that tree (OCI image specification). */
  readonly chain: string;
  readonly artifacts: ImageArtifacts;
  /** Where its packages come from, and those that a layer adds; undefined when nothing tells. */
  readonly packageSource: PackageSource | undefined;
  /** What its recipe wants in the initrd; images made from it want the same. */
  readonly initrd: RecipeSpec["initrd"];
  /** What its bases are made of: the digest of each lock, by family. */
  readonly locks: Readonly<Record<string, string>>;
  /** Versions of the tools that made it. */
  readonly tools: Readonly<Record<string, string>>;
  /** The forms that it is packed in; images made from it are packed in the same. */
  readonly outputs: RecipeSpec["outputs"];
  /** Of the verity tree, in hexadecimal. */
  readonly rootHash?: string;
  /** Kernel parameters that come with the image; those of a template are appended to them. */
  readonly kernelParameters: string;
  /** SOURCE_DATE_EPOCH of its content, seconds. */
  readonly epoch: number;
  /** Where it comes from. */
  readonly recipe: { readonly name: string; readonly digest: string } | undefined;
  /** The image that it was made from, when it was made from one. */
  readonly base: { readonly name: string; readonly buildId: string } | undefined;
  /** Checks that the images made from it have to pass too; contents are blobs. */
  readonly checks: readonly { readonly file: string; readonly sha256: string }[];
  readonly commits: readonly ImageCommit[];
  /** Those of its layers that were made by hand, the lowest first; not there when none were. */
  readonly manual?: readonly ManualLayer[];
  /** What is stored beside it, by file name: SBOMs, provenance, signatures. */
  readonly documents: Readonly<Record<string, Digests>>;
  /** The gate's word: `none` when no checks came with its recipe or its layers. */
  readonly verdict: "passed" | "none";
}

import type { Digests } from "../lib/files.ts";
import type { RecipeSpec } from "./schema.ts";

/** Architectures as IMS names them. */
export type Arch = "x86_64" | "aarch64";

/** The files of an image that a node fetches; `manifest` is the IMS manifest that lists the others. */
export type ArtifactName = "rootfs" | "kernel" | "initrd" | "manifest";

/** An image of a recipe without a kernel has neither kernel nor initrd and cannot be booted. */
export interface ImageArtifacts {
  readonly rootfs: Digests;
  readonly kernel?: Digests;
  readonly initrd?: Digests;
  readonly manifest: Digests;
}

/** A playbook at an exact commit that configured the image. */
export interface ImageCommit {
  readonly name?: string;
  readonly url: string;
  readonly playbook: string;
  readonly commit: string;
  readonly branch?: string;
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
  /** Layers of its root tree, the topmost first. */
  readonly layers: readonly string[];
  readonly artifacts: ImageArtifacts;
  /** Where its packages come from, and those that a layer adds. */
  readonly packageSource: { readonly suite: string; readonly components: readonly string[] };
  /** What its recipe wants in the initrd; images made from it want the same. */
  readonly initrd: RecipeSpec["initrd"];
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
  /** The gate's word: `none` when no checks came with its recipe or its layers. */
  readonly verdict: "passed" | "none";
}

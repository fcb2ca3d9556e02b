import type { Layer, PinnedRepository } from "../configuration/index.ts";
import type { ArtifactName, Image, ManualLayer, Recipe, RecipeLayer } from "../image/index.ts";
import type { Digests } from "../lib/files.ts";
import type { ErrorRecord } from "../lib/errors.ts";
import type { LockChanges } from "./base/lock.ts";
import type { AnsibleOptions } from "./layer/ansible.ts";

/** What an image starts from. A recipe that says `from: {recipe}` or `from: {image}` has that below it. */
export type Foundation =
  | { readonly kind: "recipe"; readonly recipe: Recipe; readonly below?: Foundation }
  | { readonly kind: "image"; readonly image: Image }
  | { readonly kind: "request"; readonly request: ImageRequest };

/** What to build: everything is resolved, so the same request always means the same steps. */
export interface ImageRequest {
  readonly name: string;
  readonly base: Foundation;
  readonly configuration?: {
    readonly name: string;
    readonly layers: readonly Layer[];
    readonly additionalInventory?: PinnedRepository;
  };
  /** A layer on top of the base, below those of the configuration. */
  readonly manual?: ManualLayer;
  /** Ansible groups that the image belongs to while it is configured. */
  readonly groups: readonly string[];
  /** Boot files that came with an image that was made elsewhere; they are published as they are. */
  readonly given?: { readonly kernel?: Digests; readonly initrd?: Digests };
  /** For its configuration's playbooks. */
  readonly ansible?: AnsibleOptions;
  /** Forms to pack it in, instead of those of its recipe or of the image that it is made from. */
  readonly outputs?: readonly Output[];
  /** Names who asks for an image of its own, where there may be one with the same content already. */
  readonly own?: string;
}

/** What can be made of a finished tree beside its kernel and its initrd. */
export type Output = "squashfs" | "erofs" | "cpio.gz" | "cpio.zst" | "verity" | "oci";

/** A step that makes a layer of the tree. */
export type LayerStep =
  | { readonly kind: "base"; readonly recipe: Recipe }
  | { readonly kind: "files"; readonly recipe: Recipe; readonly folder: string }
  | { readonly kind: "packages"; readonly recipe: Recipe; readonly packages: readonly string[]; readonly stamp: string }
  | {
      readonly kind: "script";
      readonly recipe: Recipe;
      readonly layer: RecipeLayer & { readonly script: string };
      /** When what it fetches from the network counts as fetched; undefined without a network. */
      readonly stamp: string | undefined;
    }
  | {
      readonly kind: "ansible";
      readonly layer: Layer;
      readonly groups: readonly string[];
      readonly inventory: PinnedRepository | undefined;
      readonly options: AnsibleOptions;
    }
  | {
      readonly kind: "playbook";
      readonly recipe: Recipe;
      readonly playbook: string;
      readonly groups: readonly string[];
      readonly options: AnsibleOptions;
    }
  | { readonly kind: "release"; readonly name: string; readonly commits: readonly Layer[] };

/** `lock` finds out what a base is to be made of, and makes no layer; `manual` takes one that is there. */
export type TreeStep =
  | LayerStep
  | { readonly kind: "lock"; readonly recipe: Recipe }
  | { readonly kind: "manual"; readonly manual: ManualLayer };

export type OutputKind = Exclude<ArtifactName, "manifest">;
export type StepKind = TreeStep["kind"] | "gate" | "inventory" | OutputKind;
/** What is kept of a single layer, for the steps that look at trees. */
export type LayerPartKind = "listing" | "content";

/** A step as planned. */
export interface Planned {
  readonly kind: StepKind;
  /** What operators call it. */
  readonly title: string;
  /** Its place in an image: what is compared, to tell what changed. */
  readonly slot: string;
  /** Everything that goes into the key beside the tree below, by name, so that a difference can be told. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The hash of everything that can change its result; undefined as long as the tree below it is not known. */
  readonly key: string | undefined;
  /** `open`: whether it has to run is known when the steps below it have. */
  readonly state: "cached" | "run" | "open";
  /** Why it has to run; empty when cached. */
  readonly why: readonly string[];
  /** How long it took the last time, when it ever ran. */
  readonly expectedSeconds?: number | undefined;
}

export interface PlannedTreeStep extends Planned {
  readonly step: TreeStep;
}

/** A file of checks, as the gate reads it. */
export interface ChecksFile {
  readonly file: string;
  readonly text: string;
}

export interface BuildPlan {
  readonly name: string;
  /** Layers of an existing image below the first tree step, the topmost first, and the chain ID of that tree. */
  readonly baseLayers: readonly string[];
  readonly baseChain: string;
  /** What the image takes over from its recipe, or from the image at its root. */
  readonly inherited: Pick<
    Image,
    "arch" | "recipe" | "packageSource" | "initrd" | "kernelParameters" | "epoch" | "outputs"
  >;
  readonly tree: readonly PlannedTreeStep[];
  readonly checks: readonly ChecksFile[];
  readonly gate: Planned;
  readonly inventory: Planned;
  readonly outputs: Readonly<Partial<Record<OutputKind, Planned>>>;
}

/** What a step left behind. */
export interface StepResult {
  readonly key: string;
  readonly kind: StepKind | LayerPartKind;
  readonly seconds: number;
  readonly created: string;
  /**
   * The chain ID of the tree that it is about; of a step of the tree, the one that it ends with; of a part of a layer,
   * the layer's diff ID.
   */
  readonly chain: string;
  /** The diff ID of the layer that it made; none when it changed nothing. */
  readonly layer?: string;
  readonly file?: Digests;
  /** The lock of what package managers downloaded for a layer, as the sha256 of its blob. */
  readonly downloads?: string;
  /** Of a verity tree: the root hash, in hexadecimal. */
  readonly rootHash?: string;
}

/** `shared`: another build, which needed the same at the same time, did it. */
export type StepState = "cached" | "waiting" | "running" | "shared" | "done" | "failed";

export interface StepReport {
  readonly kind: StepKind;
  readonly title: string;
  readonly state: StepState;
  readonly why?: readonly string[];
  readonly seconds?: number;
}

/** What a worker is asked to do; `verify` builds an image again from nothing and compares, `lock` looks packages up. */
export type BuildTask =
  | { readonly kind: "image"; readonly request: ImageRequest }
  | { readonly kind: "verify"; readonly image: Image }
  | { readonly kind: "lock"; readonly recipe: Recipe; readonly update: boolean; readonly dryRun: boolean };

/** What two builds of the same differ in; empty lists when nothing does. */
export interface Comparison {
  /** Layers by the step that makes them, and artifacts by name. */
  readonly different: readonly { readonly what: string; readonly was: string; readonly is: string }[];
  readonly same: readonly string[];
  /** Paths in differing layers, with what differs. */
  readonly files: readonly string[];
  /** Tools whose version is another than when the image was made. */
  readonly tools: readonly string[];
  /**
   * Layers that were made by hand, when there are any: they were taken as they are kept, so what was compared says
   * nothing about them, and an image that has them was never made again from its inputs alone.
   */
  readonly manual?: readonly ManualLayer[];
}

/** What came of looking packages up. */
export interface Locked {
  readonly digest: string;
  readonly packages: number;
  readonly bytes: number;
  /** Against the lock before; all of it is new when there was none. */
  readonly changes: LockChanges;
  /** Whether images are made of it from now on; false for a dry run. */
  readonly kept: boolean;
}

export type BuildOutcome =
  | { readonly imageId: string }
  | { readonly result: NonNullable<Build["result"]> }
  | { readonly error: ErrorRecord };

export type BuildStatus = "pending" | "running" | "succeeded" | "failed";

export interface Build {
  readonly id: string;
  readonly kind: BuildTask["kind"];
  /** The name of the image, or of what else it is about. */
  readonly image: string;
  readonly status: BuildStatus;
  readonly created: string;
  readonly started?: string;
  readonly finished?: string;
  readonly steps: readonly StepReport[];
  readonly error?: ErrorRecord;
  /** The image that it published. */
  readonly imageId?: string;
  /** What came of a task that publishes nothing. */
  readonly result?: Comparison | Locked;
}

import type { Layer, PinnedRepository } from "../configuration/index.ts";
import type { Image, Recipe } from "../image/index.ts";
import type { Digests } from "../lib/files.ts";
import type { ErrorRecord } from "../lib/errors.ts";

/** What to build: everything is resolved, so the same request always means the same steps. */
export interface ImageRequest {
  readonly name: string;
  readonly base:
    | { readonly kind: "recipe"; readonly recipe: Recipe }
    | { readonly kind: "image"; readonly image: Image }
    | { readonly kind: "request"; readonly request: ImageRequest };
  readonly configuration?: {
    readonly name: string;
    readonly layers: readonly Layer[];
    readonly additionalInventory?: PinnedRepository;
  };
  /** Ansible groups that the image belongs to while it is configured. */
  readonly groups: readonly string[];
}

/** A step that makes a layer of the tree. */
export type TreeStep =
  | { readonly kind: "base"; readonly recipe: Recipe; readonly snapshot: string }
  | { readonly kind: "files"; readonly recipe: Recipe }
  | {
      readonly kind: "ansible";
      readonly layer: Layer;
      readonly groups: readonly string[];
      readonly inventory: PinnedRepository | undefined;
    }
  | { readonly kind: "release"; readonly name: string; readonly commits: readonly Layer[] };

export type StepKind = TreeStep["kind"] | "gate" | "kernel" | "initrd" | "rootfs";

/** A step as planned: `key` is the hash of everything that can change its result. */
export interface Planned {
  readonly kind: StepKind;
  /** What operators call it. */
  readonly title: string;
  readonly key: string;
  /** Everything that went into the key, by name, so that a difference can be told. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly cached: boolean;
  /** Why it has to run; empty when cached. */
  readonly why: readonly string[];
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
  /** Layers of an existing image below the first tree step, the topmost first. */
  readonly baseLayers: readonly string[];
  readonly baseIdentity: string | undefined;
  /** What the image takes over from its recipe, or from the image at its root. */
  readonly inherited: Pick<Image, "arch" | "recipe" | "packageSource" | "initrd" | "kernelParameters" | "epoch">;
  readonly tree: readonly PlannedTreeStep[];
  readonly checks: readonly ChecksFile[];
  readonly gate: Planned;
  readonly outputs: Readonly<Record<"rootfs", Planned> & Partial<Record<"kernel" | "initrd", Planned>>>;
}

/** What a step left behind. */
export interface StepResult {
  readonly key: string;
  readonly kind: StepKind;
  /** Says the content of a tree up to this layer, without what only concerns this machine or this day. */
  readonly identity: string;
  readonly seconds: number;
  readonly created: string;
  readonly file?: Digests;
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

export type BuildStatus = "pending" | "running" | "succeeded" | "failed";

export interface Build {
  readonly id: string;
  readonly image: string;
  readonly status: BuildStatus;
  readonly created: string;
  readonly started?: string;
  readonly finished?: string;
  readonly steps: readonly StepReport[];
  readonly error?: ErrorRecord;
  /** The image that it published. */
  readonly imageId?: string;
}

/** A bootprep file as netkiln thinks of it: rendered, typed, and every value with the place where it stands. */
import type { Problem } from "../lib/errors.ts";
import type { Variables } from "./variables.ts";

export type Section = "configurations" | "images" | "session_templates";
export type ExistsPolicy = "skip" | "overwrite" | "abort";

/** Counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Text extends Place {
  readonly text: string;
}

/** A value that speaks of `base` or `image`, whose record only the plan can look up. */
export interface WaitingText extends Place {
  readonly template: string;
}

export type LateText = Text | WaitingText;

export interface BootprepFile {
  readonly file: string;
  readonly schemaVersion: string;
  /** What it was rendered with, and what the plan renders the waiting values with. */
  readonly variables: Variables;
  readonly configurations: readonly FileConfiguration[];
  readonly images: readonly FileImage[];
  readonly templates: readonly FileTemplate[];
  readonly warnings: readonly Problem[];
}

export interface FileConfiguration extends Place {
  readonly name: Text;
  readonly description?: string;
  readonly layers: readonly FileLayer[];
  readonly additionalInventory?: FileInventory;
  readonly ifExists?: ExistsPolicy;
}

export interface GitReference extends Text {
  readonly kind: "branch" | "commit";
}

export interface FileInventory extends Place {
  readonly name?: Text;
  readonly url: Text;
  readonly reference: GitReference;
}

export interface SpecialParameters {
  readonly imsRequireDkms?: boolean;
}

export interface FileLayer extends Place {
  readonly name?: Text;
  readonly playbook?: Text;
  readonly specialParameters: SpecialParameters;
  readonly origin: LayerOrigin;
}

export type LayerOrigin = Place &
  (
    | { readonly kind: "git"; readonly url: Text; readonly reference: GitReference }
    | {
        readonly kind: "product";
        readonly name: Text;
        readonly version?: Text;
        readonly reference?: GitReference;
      }
    | { readonly kind: "source"; readonly name: Text; readonly reference: GitReference }
  );

export type NameOrId = Text & { readonly by: "name" | "id" };

export interface FileImage extends Place {
  readonly name: LateText;
  readonly refName?: Text;
  readonly description?: string;
  readonly base: FileBase;
  readonly configuration?: LateText;
  readonly groups: readonly string[];
  readonly ifExists?: ExistsPolicy;
}

export type FileBase = Place &
  (
    | { readonly kind: "ims"; readonly type: "recipe" | "image"; readonly target: NameOrId }
    | {
        readonly kind: "product";
        readonly type: "recipe" | "image";
        readonly name: Text;
        readonly version?: Text;
        readonly filter: { readonly prefix?: Text; readonly wildcard?: Text; readonly arch?: Text };
      }
    | { readonly kind: "image_ref"; readonly reference: Text }
  );

/** A boot set in BOS's own words (snake case); keys beyond these are passed to BOS as they are. */
export interface BootSet {
  readonly arch?: "X86" | "ARM" | "Other" | "Unknown";
  readonly kernel_parameters?: string;
  readonly node_list?: readonly string[];
  readonly node_roles_groups?: readonly string[];
  readonly node_groups?: readonly string[];
  readonly rootfs_provider?: string;
  readonly rootfs_provider_passthrough?: string;
  readonly [key: string]: unknown;
}
export type BootSets = Readonly<Record<string, BootSet>>;

export interface FileTemplate extends Place {
  readonly name: LateText;
  readonly image: FileTemplateImage;
  readonly configuration: LateText;
  /** `waiting` when strings in it speak of an image whose name only the plan knows; they are then not rendered yet. */
  readonly bootSets: Place & { readonly sets: BootSets; readonly waiting: boolean };
  readonly ifExists?: ExistsPolicy;
}

export type FileTemplateImage =
  | (NameOrId & { readonly kind: "ims" })
  | (Text & { readonly kind: "image_ref" })
  /** The deprecated plain string: a name or, where no image has that name, an id. */
  | (Text & { readonly kind: "either" });

export function isWaiting(text: LateText): text is WaitingText {
  return "template" in text;
}

/** What a plan says, and what it must be told from outside to say it. */
import type { Problem } from "../lib/errors.ts";
import type { BootSets, ExistsPolicy, Section, SpecialParameters } from "./file.ts";

export type NameOrIdQuery = { readonly name: string } | { readonly id: string };

export interface FoundRecipe {
  readonly id: string;
  readonly name: string;
  readonly arch?: string;
}

export interface FoundImage {
  readonly id: string;
  readonly name: string;
  readonly arch?: string;
}

export type CommitReference = { readonly branch: string } | { readonly commit: string };

export interface ResolvedCommit {
  readonly url: string;
  /** The full hash. */
  readonly commit: string;
  readonly branch?: string;
}

export interface ExistingConfiguration {
  readonly name: string;
  readonly layers: readonly PlannedLayer[];
  readonly additionalInventory?: PlannedInventory;
}

export interface ExistingTemplate {
  readonly name: string;
  /** The image that its boot sets boot, if that image still exists. */
  readonly imageId?: string;
  readonly configuration: string;
  /** Without the keys that come from the image (path, etag, type). */
  readonly bootSets: BootSets;
}

/** A version of a product, as CSM's product catalog has it. */
export interface Product {
  readonly name: string;
  readonly version: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Read-only. A NetkilnError of `not_found` or `invalid_input` becomes a mistake with a place; any other stops the plan. */
export interface PlanPorts {
  /** Names are not unique: all that match. */
  findRecipes(query: NameOrIdQuery): Promise<readonly FoundRecipe[]>;
  findImages(query: NameOrIdQuery): Promise<readonly FoundImage[]>;
  findConfiguration(name: string): Promise<ExistingConfiguration | undefined>;
  findTemplate(name: string): Promise<ExistingTemplate | undefined>;
  resolveCommit(url: string, reference: CommitReference): Promise<ResolvedCommit>;
  /** Makes sure that the file exists at a commit. The message names it as it was given: so its place is found. */
  requirePlaybook(url: string, commit: string, playbook: string): Promise<void>;
  /** Every version of every product; undefined where there is no product catalog. */
  products(): Promise<readonly Product[] | undefined>;
  /** Where the repository of a source of CFS is. */
  findSource(name: string): Promise<{ readonly url: string } | undefined>;
  /** What a layer runs that names no playbook. */
  defaultPlaybook(): Promise<string>;
}

/** The git repository of the HPC software recipe, from which variables come. */
export interface RecipePorts {
  /** Undefined where no such repository is known. */
  branches(): Promise<readonly string[] | undefined>;
  /** The text of a file at the head of a branch. */
  read(branch: string, path: string): Promise<string>;
}

export interface PlanOptions {
  /** The absolute directory of the file: relative git urls start there. */
  readonly directory: string;
  /** Sections to carry out; all without it. */
  readonly limit?: readonly Section[];
  /** As sat does by default: configurations keep commits and not the branches that they were taken from. */
  readonly resolveBranches?: boolean;
  /** From the command line; wins over `if_exists` in the file. */
  readonly existing?: {
    readonly configurations?: ExistsPolicy;
    readonly images?: ExistsPolicy;
    readonly templates?: ExistsPolicy;
  };
}

export interface PlannedInventory {
  readonly name?: string;
  readonly url: string;
  /** The source that says where the repository is. */
  readonly source?: string;
  /** Only where the configuration is to keep it. */
  readonly branch?: string;
  readonly commit: string;
  /** What the commit was found by, for those who read the plan; no part of the configuration. */
  readonly headOf?: string;
}

export interface PlannedLayer extends PlannedInventory {
  readonly playbook: string;
  readonly specialParameters: SpecialParameters;
}

/** `reuse`: it exists and is equal. `skip`: it exists and stays, whatever it says; its content here is the existing one. */
export interface PlannedConfiguration {
  readonly name: string;
  readonly action: "create" | "reuse" | "update" | "overwrite" | "skip";
  readonly layers: readonly PlannedLayer[];
  readonly additionalInventory?: PlannedInventory;
}

export type PlannedBase =
  | { readonly kind: "recipe"; readonly id: string; readonly name: string }
  | { readonly kind: "image"; readonly id: string; readonly name: string }
  /** The image of that name that this plan builds before. */
  | { readonly kind: "planned"; readonly name: string };

export type PlannedImage =
  | {
      readonly action: "build";
      readonly name: string;
      readonly refName?: string;
      readonly base: PlannedBase;
      readonly configuration?: string;
      readonly groups: readonly string[];
      /** Ids of images of the same name to delete when this one is built; only with `overwrite`. */
      readonly replaces: readonly string[];
    }
  | {
      readonly action: "skip";
      readonly name: string;
      readonly refName?: string;
      readonly id: string;
    };

export type PlannedTemplate =
  | {
      readonly action: "create" | "reuse" | "update" | "overwrite";
      readonly name: string;
      readonly image:
        | { readonly kind: "planned"; readonly name: string }
        | { readonly kind: "existing"; readonly id: string; readonly name: string };
      readonly configuration: string;
      readonly bootSets: BootSets;
    }
  | { readonly action: "skip"; readonly name: string };

export interface Plan {
  readonly configurations: readonly PlannedConfiguration[];
  /** Every image after those it is based on. */
  readonly images: readonly PlannedImage[];
  readonly templates: readonly PlannedTemplate[];
  readonly warnings: readonly Problem[];
}

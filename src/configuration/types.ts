/** A git repository at an exact commit; `branch` is what the commit was resolved from. */
export interface PinnedRepository {
  readonly name?: string;
  readonly url: string;
  readonly commit: string;
  readonly branch?: string;
  /** The source that says where the repository is; `url` is what it says. */
  readonly source?: string;
}

/** One playbook of a repository. */
export interface Layer extends PinnedRepository {
  readonly playbook: string;
  /** Kept for those who ask; DKMS works in our sandbox as it is. */
  readonly specialParameters?: { readonly imsRequireDkms?: boolean };
}

export interface Configuration {
  readonly name: string;
  readonly lastUpdated: string;
  readonly description?: string;
  /** Who alone may change it; nobody in particular when not given. */
  readonly tenant?: string;
  /** In the order in which they are applied. */
  readonly layers: readonly Layer[];
  /** An inventory that every layer is given beside its own. */
  readonly additionalInventory?: PinnedRepository;
}

export type ConfigurationContent = Omit<Configuration, "name" | "lastUpdated">;

/** Where a repository is, and how it is reached. */
export interface Source {
  readonly name: string;
  readonly description?: string;
  readonly lastUpdated: string;
  readonly cloneUrl: string;
  /** What the secret with user and password is called; the secret itself is never shown. */
  readonly credentials?: { readonly authenticationMethod: "password"; readonly secretName: string };
  /** Kept for those who ask: git here trusts the certificates that its host trusts. */
  readonly caCert?: { readonly configmapName: string; readonly configmapNamespace?: string } | null;
}

/** User and password for git. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

export const componentStatuses = ["unconfigured", "pending", "failed", "configured"] as const;
export type ComponentStatus = (typeof componentStatuses)[number];

/** `incomplete`: the play ended early for another node's sake. */
export const layerStatuses = ["applied", "failed", "skipped", "incomplete"] as const;
export type LayerStatus = (typeof layerStatuses)[number];

/** What became of a playbook on a component. */
export interface AppliedLayer {
  readonly url: string;
  readonly playbook: string;
  readonly commit: string;
  readonly status: LayerStatus;
  readonly lastUpdated: string;
  readonly sessionName: string;
}

/** Something that is to be kept configured, usually a node: what it should have, and what it has. */
export interface ConfiguredComponent {
  readonly id: string;
  /** The name of a configuration; empty for none. */
  readonly desiredConfig: string;
  readonly state: readonly AppliedLayer[];
  readonly enabled: boolean;
  readonly errorCount: number;
  /** Failures after which it is left alone, -1 for never; the option's when not given. */
  readonly retryPolicy?: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Follows from the others. */
  readonly status: ComponentStatus;
  /** Since when it waits to be configured, or to be tried again; there while it is enabled and pending. */
  readonly pendingSince?: string;
}

/** What is said about a component; what is left out stays as it is. */
export interface ComponentChange {
  readonly desiredConfig?: string;
  readonly state?: readonly AppliedLayer[];
  /** Takes the place of what the state says about the same playbook. */
  readonly stateAppend?: AppliedLayer;
  readonly enabled?: boolean;
  readonly errorCount?: number;
  readonly retryPolicy?: number;
  /** Merged; an empty value takes the tag away. */
  readonly tags?: Readonly<Record<string, string>>;
  /** What came of a session on it; counts where the session's configuration is the desired one. */
  readonly attempt?: { readonly configuration: string; readonly succeeded: boolean };
}

export const sessionStatuses = ["pending", "running", "complete"] as const;
export type SessionStatus = (typeof sessionStatuses)[number];

export const sessionResults = ["none", "unknown", "false", "true"] as const;
/** A text, not a truth value, as CFS's clients read it. */
export type SessionSucceeded = (typeof sessionResults)[number];

export interface SessionTarget {
  readonly definition: "image" | "spec" | "repo" | "dynamic";
  readonly groups?: readonly { readonly name: string; readonly members: readonly string[] }[];
  /** What the image made from `sourceId` is to be called. */
  readonly imageMap?: readonly { readonly sourceId: string; readonly resultName: string }[];
}

/** What a session is asked to do. */
export interface ConfigurationSessionRequest {
  readonly name: string;
  readonly configuration: string;
  /** Layers of the configuration by name or index, separated by commas; all when empty. */
  readonly configurationLimit: string;
  readonly ansible: {
    readonly config: string;
    readonly limit?: string;
    readonly verbosity: number;
    readonly passthrough?: string;
  };
  readonly target: SessionTarget;
  readonly tags: Readonly<Record<string, string>>;
  readonly debugOnFailure: boolean;
  /** It was made for components that were pending, and by nobody's request. */
  readonly batch?: true;
}

export interface Artifact {
  readonly imageId: string;
  readonly resultId: string;
  readonly type: string;
}

/** An image of a session, and how far it is. */
export interface SessionImage {
  readonly imageId: string;
  readonly groups: readonly string[];
  readonly build?: string;
  readonly resultId?: string;
  readonly error?: string;
}

export interface ConfigurationSession extends ConfigurationSessionRequest {
  readonly status: SessionStatus;
  readonly succeeded: SessionSucceeded;
  readonly startTime: string;
  readonly completionTime?: string;
  readonly job?: string;
  readonly imsJob?: string;
  readonly artifacts: readonly Artifact[];
  readonly images: readonly SessionImage[];
  /** Names the run of a session on live nodes: its folder, and its place in the queue. */
  readonly run?: string;
  /** Why nothing, or not all, was applied; what became of single components stands in their state. */
  readonly error?: string;
}

import type { NodeArch } from "../node/index.ts";

export interface Page {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** Members that nobody gave are absent, so that a template is shown as it was put. */
export interface BootSet {
  /** `s3` is the one that can be booted. */
  readonly type: string;
  /** s3://boot-images/IMAGE/manifest.json */
  readonly path: string;
  readonly etag?: string | undefined;
  readonly arch: NodeArch;
  readonly kernel_parameters?: string | undefined;
  readonly node_list?: readonly string[] | undefined;
  /** Roles, or ROLE_SUBROLE. */
  readonly node_roles_groups?: readonly string[] | undefined;
  readonly node_groups?: readonly string[] | undefined;
  readonly rootfs_provider?: string | undefined;
  readonly rootfs_provider_passthrough?: string | undefined;
  readonly cfs?: { readonly configuration?: string | undefined } | undefined;
}

/** What to boot on which nodes; named and shaped as in BOS v2. */
export interface SessionTemplate {
  readonly name: string;
  readonly description?: string | undefined;
  /** True when absent. */
  readonly enable_cfs?: boolean | undefined;
  readonly cfs?: { readonly configuration?: string | undefined } | undefined;
  readonly boot_sets: Readonly<Record<string, BootSet>>;
}

export const operations = ["boot", "reboot", "shutdown"] as const;
export type Operation = (typeof operations)[number];

export const sessionStatuses = ["pending", "running", "complete"] as const;
export type SessionStatus = (typeof sessionStatuses)[number];

export interface Session {
  readonly name: string;
  readonly operation: Operation;
  readonly template_name: string;
  /** Empty when the whole template is meant. */
  readonly limit: string;
  /** Only written down at its nodes, until they are told to apply it. */
  readonly stage: boolean;
  readonly include_disabled: boolean;
  readonly options: SessionOptions;
  readonly status: SessionStatus;
  /** xnames that the session was set up for, with commas. */
  readonly components: string;
  readonly error: string | undefined;
  readonly start_time: string;
  readonly end_time: string | undefined;
}

/** Seconds, and the number of tries; named as BOS's options. */
export interface SessionOptions {
  readonly max_boot_wait_time: number;
  readonly max_power_on_wait_time: number;
  readonly max_power_off_wait_time: number;
  /** How often a node's power is switched on before it counts as failed; -1 for ever. */
  readonly default_retry_policy: number;
}

/** What a node boots. Links of the form s3://boot-images/IMAGE/FILE are files of our images. */
export interface BootArtifacts {
  readonly kernel: string;
  readonly initrd: string;
  readonly kernelParameters: string;
}

export interface BootTargetState extends BootArtifacts {
  /** Both empty when the artifacts were given by hand and their image was not looked up yet. */
  readonly imageId: string;
  readonly buildId: string;
  /** Kept for what configures booted nodes. */
  readonly configuration: string;
  /** Of the boot parameters that were written for it; it comes back with the node. */
  readonly bssToken?: string | undefined;
}

/** What a node runs, as far as we saw it boot or it says so itself. */
export interface ActualState extends BootTargetState {
  /** Empty when only the node says so. */
  readonly bootId: string;
}

/**
 * What the reconciler did last. `power_on_pending` is written before the power is switched on, so that after a crash in
 * between it is switched on again and not taken for a node that runs something else.
 */
export type LastAction = "" | "power_on_pending" | "power_on" | "power_off_graceful" | "power_off_forceful";

/** What is told of the last action, in BOS's words. */
export const toldActions = [
  "actual_state_cleanup",
  "apply_staged",
  "newly_discovered",
  "powering_off_forcefully",
  "powering_off_gracefully",
  "powering_on",
  "session_setup",
] as const;
export type ToldAction = (typeof toldActions)[number];

export const componentPhases = ["configuring", "powering_off", "powering_on", ""] as const;
export type ComponentPhase = (typeof componentPhases)[number];

/** What a session has written down at a node, to be applied later. */
export interface StagedState {
  readonly session: string;
  /** Undefined: to be off. */
  readonly state: BootTargetState | undefined;
}

/** A node as the reconciler sees it, and as BOS tells of it. */
export interface Component {
  readonly xname: string;
  /** The session that set it up last; empty when somebody did it by hand, or nobody. */
  readonly session: string;
  readonly operation: Operation;
  /** Whether the reconciler works on it. */
  readonly active: boolean;
  /** Undefined: to be off. */
  readonly desired: BootTargetState | undefined;
  readonly actual: ActualState | undefined;
  readonly lastAction: LastAction;
  /** UTC with milliseconds. */
  readonly actionTime: string;
  /** How often it was switched on since it was told what to run. */
  readonly attempts: number;
  /** The boot that the last try began. */
  readonly bootId: string | undefined;
  readonly options: SessionOptions;
  readonly error: string | undefined;
  readonly staged: StagedState | undefined;
  /** Tries of this node, whatever the options say. */
  readonly retryPolicy: number | undefined;
  readonly phase: ComponentPhase;
  /** Follows from phase and last action, unless `statusOverride` says something. */
  readonly status: string;
  readonly statusOverride: string;
  readonly told: Told;
}

/** What is only there to be told. Times are UTC with seconds; undefined when nothing happened yet. */
export interface Told {
  readonly action: ToldAction;
  readonly failed: boolean;
  readonly gracefulAttempts: number;
  readonly forcefulAttempts: number;
  readonly actionUpdated: string | undefined;
  readonly desiredUpdated: string | undefined;
  readonly actualUpdated: string | undefined;
  readonly stagedUpdated: string | undefined;
}

/** What a component is to run; undefined when it is to be off, also where only a configuration was said. */
export function bootTargetOf({ desired }: Pick<Component, "desired">): BootTargetState | undefined {
  return desired === undefined || isEmpty(desired) ? undefined : desired;
}

export function isEmpty({ kernel, initrd, kernelParameters }: BootArtifacts): boolean {
  return kernel === "" && initrd === "" && kernelParameters === "";
}

import type { NodeArch } from "../node/index.ts";

export interface BootSet {
  readonly type: "s3";
  /** s3://boot-images/IMAGE/manifest.json */
  readonly path: string;
  readonly etag: string;
  readonly arch: NodeArch;
  readonly kernel_parameters: string;
  readonly node_list: readonly string[];
  /** Roles, or ROLE_SUBROLE. */
  readonly node_roles_groups: readonly string[];
  readonly node_groups: readonly string[];
  readonly rootfs_provider: string;
  readonly rootfs_provider_passthrough: string;
  readonly cfs: { readonly configuration?: string | undefined };
}

/** What to boot on which nodes; named and shaped as in BOS v2. */
export interface SessionTemplate {
  readonly name: string;
  readonly description: string;
  readonly enable_cfs: boolean;
  readonly cfs: { readonly configuration?: string | undefined };
  readonly boot_sets: Readonly<Record<string, BootSet>>;
}

export const operations = ["boot", "reboot", "shutdown"] as const;
export type Operation = (typeof operations)[number];

export interface Session {
  readonly name: string;
  readonly operation: Operation;
  readonly template_name: string;
  /** Empty when the whole template is meant. */
  readonly limit: string;
  readonly include_disabled: boolean;
  readonly options: SessionOptions;
  readonly status: "pending" | "running" | "complete";
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

/** BOS tries three times. We try once: a node that does not come up with an image seldom does at the second try. */
export const defaultOptions: SessionOptions = {
  max_boot_wait_time: 1200,
  max_power_on_wait_time: 120,
  max_power_off_wait_time: 300,
  default_retry_policy: 1,
};

export interface BootTargetState {
  readonly imageId: string;
  readonly buildId: string;
  /** s3 links. */
  readonly kernel: string;
  readonly initrd: string;
  readonly kernelParameters: string;
  /** Kept for what configures booted nodes. */
  readonly configuration: string;
}

/** What a node runs, as far as we saw it boot. */
export interface ActualState extends BootTargetState {
  readonly bootId: string;
}

/**
 * What was done last. `power_on_pending` is written before the power is switched on, so that after a crash in between
 * it is switched on again and not taken for a node that runs something else.
 */
export type LastAction = "" | "power_on_pending" | "power_on" | "power_off_graceful" | "power_off_forceful";

/** A node as the reconciler sees it. */
export interface Component {
  readonly xname: string;
  /** The session that set it up last. */
  readonly session: string;
  readonly operation: Operation;
  /** Whether that session still works on it. */
  readonly active: boolean;
  /** Undefined: to be off. */
  readonly desired: BootTargetState | undefined;
  readonly actual: ActualState | undefined;
  readonly lastAction: LastAction;
  /** UTC with milliseconds. */
  readonly actionTime: string;
  /** How often the session has switched it on. */
  readonly attempts: number;
  /** The boot that the last try began. */
  readonly bootId: string | undefined;
  readonly options: SessionOptions;
  readonly error: string | undefined;
}

export type ComponentStatus =
  | "stable"
  | "failed"
  | "power_on_pending"
  | "power_on_called"
  | "power_off_pending"
  | "power_off_gracefully_called"
  | "power_off_forcefully_called";

/** BOS's phase and status, which follow from the rest. */
export function statusOf(component: Component): {
  phase: "" | "powering_on" | "powering_off";
  status: ComponentStatus;
} {
  const { active, error, lastAction, desired, attempts } = component;
  if (!active) return { phase: "", status: error === undefined ? "stable" : "failed" };
  if (lastAction === "power_on") return { phase: "powering_on", status: "power_on_called" };
  if (lastAction === "power_on_pending") return { phase: "powering_on", status: "power_on_pending" };
  if (lastAction === "power_off_graceful") return { phase: "powering_off", status: "power_off_gracefully_called" };
  if (lastAction === "power_off_forceful") return { phase: "powering_off", status: "power_off_forcefully_called" };
  const off = desired === undefined || attempts > 0;
  return off
    ? { phase: "powering_off", status: "power_off_pending" }
    : { phase: "powering_on", status: "power_on_pending" };
}

/** Components as they stand on the wire. */
import type { BootArtifacts, BootTargetState, Component, ComponentChange } from "../../../orchestration/index.ts";
import type { WireComponent } from "./schema.ts";

/** Without the members that are undefined. */
function said<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

export function toChange(given: Omit<WireComponent, "id">): ComponentChange {
  const { actual_state, desired_state, staged_state, last_action, event_stats, status } = given;
  return said({
    actual: actual_state && said({ artifacts: toArtifacts(actual_state), bssToken: actual_state.bss_token }),
    desired:
      desired_state &&
      said({
        artifacts: toArtifacts(desired_state),
        configuration: desired_state.configuration,
        bssToken: desired_state.bss_token,
      }),
    staged:
      staged_state &&
      said({
        artifacts: toArtifacts(staged_state),
        configuration: staged_state.configuration,
        session: staged_state.session,
      }),
    action: last_action && said({ action: last_action.action, failed: last_action.failed }),
    attempts:
      event_stats &&
      said({
        powerOn: event_stats.power_on_attempts,
        graceful: event_stats.power_off_graceful_attempts,
        forceful: event_stats.power_off_forceful_attempts,
      }),
    phase: status?.phase,
    statusOverride: status?.status_override,
    active: given.enabled,
    error: given.error,
    session: given.session,
    retryPolicy: given.retry_policy,
  });
}

function toArtifacts({
  boot_artifacts,
}: Pick<NonNullable<WireComponent["actual_state"]>, "boot_artifacts">): Partial<BootArtifacts> | undefined {
  if (boot_artifacts === undefined) return undefined;
  const { kernel, initrd, kernel_parameters } = boot_artifacts;
  return said({ kernel, initrd, kernelParameters: kernel_parameters });
}

export function printComponent(component: Component) {
  const { actual, desired, staged, told } = component;
  return {
    id: component.xname,
    enabled: component.active,
    session: component.session,
    error: component.error ?? "",
    actual_state: {
      boot_artifacts: printArtifacts(actual),
      bss_token: actual?.bssToken ?? "",
      last_updated: told.actualUpdated,
    },
    desired_state: {
      boot_artifacts: printArtifacts(desired),
      bss_token: desired?.bssToken ?? "",
      configuration: desired?.configuration ?? "",
      last_updated: told.desiredUpdated,
    },
    staged_state: {
      boot_artifacts: printArtifacts(staged?.state),
      configuration: staged?.state?.configuration ?? "",
      session: staged?.session ?? "",
      last_updated: told.stagedUpdated,
    },
    last_action: { action: told.action, failed: told.failed, last_updated: told.actionUpdated },
    event_stats: {
      power_on_attempts: component.attempts,
      power_off_graceful_attempts: told.gracefulAttempts,
      power_off_forceful_attempts: told.forcefulAttempts,
    },
    status: {
      phase: component.phase,
      status: component.status,
      status_override: component.statusOverride,
    },
    retry_policy: component.retryPolicy,
  };
}

function printArtifacts(state: BootTargetState | undefined) {
  return {
    kernel: state?.kernel ?? "",
    initrd: state?.initrd ?? "",
    kernel_parameters: state?.kernelParameters ?? "",
  };
}

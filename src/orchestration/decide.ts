import type { PowerState } from "../power/index.ts";
import { bootPhases, phaseOf, type Boot, type BootPhase } from "../telemetry/index.ts";
import { bootTargetOf, type ActualState, type BootTargetState, type Component } from "./types.ts";

/** What is known of a node at this moment. */
export interface Observation {
  readonly power: PowerState;
  /** The boot that the node is in. */
  readonly boot: Boot | undefined;
  readonly now: Date;
}

export type Step =
  | { readonly kind: "wait" }
  | { readonly kind: "power_on" }
  | { readonly kind: "power_off"; readonly how: "graceful" | "forced" }
  /** The node's boot came to nothing and may be tried again. */
  | { readonly kind: "retry"; readonly because: string }
  | { readonly kind: "succeed"; readonly actual: ActualState | undefined }
  | { readonly kind: "fail"; readonly because: string };

/** The next step for a node that a session works on. Pure, so that it is the same after a restart. */
export function decide(component: Component, { power, boot, now }: Observation): Step {
  const { lastAction } = component;
  const desired = bootTargetOf(component);
  const elapsed = (now.getTime() - Date.parse(component.actionTime)) / 1000;
  if (desired === undefined) {
    return power === "off" ? { kind: "succeed", actual: undefined } : switchOff(component, elapsed);
  }
  if (lastAction === "power_on_pending") return { kind: "power_on" };
  if (lastAction === "power_on") return watchBoot(component, desired, { boot, power, elapsed });
  if (power === "off") return { kind: "power_on" };
  if (lastAction === "" && runsDesired(component, boot)) return { kind: "succeed", actual: component.actual };
  return switchOff(component, elapsed);
}

/** Whether the node already runs what it should, and has not booted since we saw that. */
function runsDesired({ desired, actual }: Component, boot: Boot | undefined): boolean {
  if (desired === undefined || actual === undefined || boot?.id !== actual.bootId) return false;
  const { kernel, initrd, kernelParameters, buildId } = desired;
  return (
    actual.kernel === kernel &&
    actual.initrd === initrd &&
    actual.kernelParameters === kernelParameters &&
    actual.buildId === buildId
  );
}

function switchOff({ xname, lastAction, options }: Component, elapsed: number): Step {
  const wait = options.max_power_off_wait_time;
  if (lastAction === "power_off_graceful") {
    return elapsed > wait ? { kind: "power_off", how: "forced" } : { kind: "wait" };
  }
  if (lastAction === "power_off_forceful") {
    return elapsed > wait
      ? { kind: "fail", because: `${xname} did not go off within ${wait} s by force` }
      : { kind: "wait" };
  }
  return { kind: "power_off", how: "graceful" };
}

function watchBoot(
  component: Component,
  desired: BootTargetState,
  { boot, power, elapsed }: { boot: Boot | undefined; power: PowerState; elapsed: number },
): Step {
  const { xname, options } = component;
  const ready = boot && phaseOf(boot, "ready");
  if (ready !== undefined) {
    const reported = ready.detail.buildId;
    if (reported === desired.buildId) return { kind: "succeed", actual: { ...desired, bootId: boot?.id ?? "" } };
    const said =
      typeof reported === "string" && reported !== "" ? `runs build ${reported}` : "does not say which build it runs";
    return {
      kind: "fail",
      because: `${xname} ${said}, but was given image ${desired.imageId} of build ${desired.buildId}`,
    };
  }
  const failed = boot && phaseOf(boot, "failed");
  if (failed !== undefined)
    return tryAgain(component, `${xname} failed to boot: ${String(failed.detail.message ?? "no reason given")}`);
  const seen = `the last thing seen was: ${lastSeen(boot)}`;
  if (power === "off" && elapsed > options.max_power_on_wait_time) {
    return tryAgain(component, `${xname} is off ${Math.floor(elapsed)} s after it was switched on; ${seen}`);
  }
  if (elapsed <= options.max_boot_wait_time) return { kind: "wait" };
  return tryAgain(component, `${xname} did not report within ${options.max_boot_wait_time} s; ${seen}`);
}

/** A new try as long as the policy allows one, else the end. */
export function tryAgain({ attempts, retryPolicy, options }: Component, because: string): Step {
  const allowed = retryPolicy ?? options.default_retry_policy;
  return allowed === -1 || attempts < allowed ? { kind: "retry", because } : { kind: "fail", because };
}

const phaseTexts: Readonly<Record<BootPhase, string>> = {
  power: "power switched on",
  script: "boot script fetched",
  kernel: "kernel fetched",
  initrd: "initrd fetched",
  root: "root file system there",
  userspace: "userspace started",
  ready: "ready",
  failed: "failed",
};

/** The furthest phase of a boot, in words. */
export function lastSeen(boot: Boot | undefined): string {
  const furthest = bootPhases.findLast((phase) => boot?.phases.some((record) => record.phase === phase));
  return furthest === undefined ? "nothing" : phaseTexts[furthest];
}

/** How a component stands to its desired configuration: the rules, without the tables. */
import type { AppliedLayer, ComponentChange, ComponentStatus, ConfiguredComponent, Layer } from "./types.ts";

type Playbook = Pick<Layer, "url" | "playbook" | "commit">;

export interface DesiredLayer extends Playbook {
  readonly status: ComponentStatus;
  /** What the component says about that playbook at that commit, if anything. */
  readonly applied: AppliedLayer | undefined;
}

/** Whether every layer is applied or was skipped; undefined when there are none to apply. */
export function isSettled(
  layers: readonly Playbook[] | undefined,
  state: readonly AppliedLayer[],
): boolean | undefined {
  return layers?.every((layer) => isDone(appliedOf(layer, state)));
}

/**
 * Without a desired configuration it is configured when anything was ever applied. Otherwise it is configured when
 * all layers are applied, failed when it has failed as often as it may (-1: as often as it likes), and pending until then.
 */
export function standingOf(
  settled: boolean | undefined,
  { state, errorCount, retryPolicy }: Pick<ConfiguredComponent, "state" | "errorCount" | "retryPolicy">,
  defaultRetryPolicy: number,
): ComponentStatus {
  if (settled === undefined) return state.length === 0 ? "unconfigured" : "configured";
  if (settled) return "configured";
  return isGivenUp(errorCount, retryPolicy ?? defaultRetryPolicy) ? "failed" : "pending";
}

/** Each layer of the desired configuration, with how it stands. */
export function desiredLayers(
  layers: readonly Playbook[],
  { state, errorCount, retryPolicy }: ConfiguredComponent,
  defaultRetryPolicy: number,
): DesiredLayer[] {
  const givenUp = isGivenUp(errorCount, retryPolicy ?? defaultRetryPolicy);
  return layers.map(({ url, playbook, commit }) => {
    const applied = appliedOf({ url, playbook, commit }, state);
    const failed = applied?.status === "failed" && givenUp;
    return { url, playbook, commit, status: isDone(applied) ? "configured" : failed ? "failed" : "pending", applied };
  });
}

export type ChangedComponent = Omit<ConfiguredComponent, "status" | "pendingSince"> & {
  /** Undefined where a new wait begins, if it waits at all. */
  readonly pendingSince?: string | undefined;
};

/** A component after a change. New desires and an emptied state begin a new count of failures, unless the change sets it. */
export function changed(component: ChangedComponent, change: ComponentChange): ChangedComponent {
  const { stateAppend: append, tags, attempt, ...rest } = change;
  const startsAnew = change.desiredConfig !== undefined || change.state?.length === 0;
  const state = change.state ?? component.state;
  return {
    ...component,
    ...(startsAnew && { errorCount: 0 }),
    ...rest,
    ...(append !== undefined && {
      state: [...state.filter(({ url, playbook }) => url !== append.url || playbook !== append.playbook), append],
    }),
    ...(attempt?.configuration === component.desiredConfig && attempted(component, attempt)),
    ...(tags !== undefined && {
      tags: Object.fromEntries(Object.entries({ ...component.tags, ...tags }).filter(([, value]) => value !== "")),
    }),
  };
}

/** A failure counts, and the component waits anew from then on; what came of it in the end makes up for all before. */
function attempted(
  { errorCount }: ChangedComponent,
  { succeeded }: NonNullable<ComponentChange["attempt"]>,
): Pick<ChangedComponent, "errorCount" | "pendingSince"> {
  return succeeded ? { errorCount: 0 } : { errorCount: errorCount + 1, pendingSince: undefined };
}

/** A component of which nothing is known but that it is there. */
export function freshComponent(id: string): ChangedComponent {
  return { id, desiredConfig: "", state: [], enabled: true, errorCount: 0, tags: {} };
}

function isGivenUp(errorCount: number, retryPolicy: number): boolean {
  return retryPolicy !== -1 && errorCount >= retryPolicy;
}

function appliedOf({ url, playbook, commit }: Playbook, state: readonly AppliedLayer[]): AppliedLayer | undefined {
  return state.find((layer) => layer.url === url && layer.playbook === playbook && layer.commit === commit);
}

function isDone(applied: AppliedLayer | undefined): boolean {
  return applied?.status === "applied" || applied?.status === "skipped";
}

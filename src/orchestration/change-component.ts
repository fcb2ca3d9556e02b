import { imageOfLink } from "../boot/index.ts";
import type {
  ActualState,
  BootArtifacts,
  BootTargetState,
  Component,
  ComponentPhase,
  SessionOptions,
  ToldAction,
} from "./types.ts";

/** What somebody says about a component by hand, in the parts that BOS has. What is absent stays as it is. */
export interface ComponentChange {
  readonly actual?: { readonly artifacts?: Partial<BootArtifacts>; readonly bssToken?: string };
  readonly desired?: DesiredChange;
  readonly staged?: Omit<DesiredChange, "bssToken"> & { readonly session?: string };
  readonly action?: { readonly action?: ToldAction; readonly failed?: boolean };
  readonly attempts?: { readonly powerOn?: number; readonly graceful?: number; readonly forceful?: number };
  readonly phase?: ComponentPhase;
  readonly statusOverride?: string;
  readonly active?: boolean;
  readonly error?: string;
  readonly session?: string;
  readonly retryPolicy?: number;
}

interface DesiredChange {
  readonly artifacts?: Partial<BootArtifacts>;
  readonly configuration?: string;
  readonly bssToken?: string;
}

export interface ChangeContext {
  readonly now: Date;
  /** In whole seconds. */
  readonly timestamp: string;
  /** For a component that begins to be worked on. */
  readonly options: SessionOptions;
  /** What was written under the tokens that are named. */
  readonly tokens: ReadonlyMap<string, BootArtifacts>;
}

/**
 * A component after a change, by the rules of BOS: one that is enabled is on hold until the reconciler has looked at it
 * again; what it is to run, when said without a session, belongs to no session, and its tries count from zero; what it
 * runs follows from the token of its boot parameters where that is known.
 */
export function changed(component: Component, change: ComponentChange, context: ChangeContext): Component {
  const { desired: saidDesired, attempts } = change;
  const desired = saidDesired === undefined ? component.desired : mergeTarget(component.desired, saidDesired);
  const afresh = saidDesired?.artifacts !== undefined || saidDesired?.configuration !== undefined;
  const active = change.active ?? component.active;
  // The reconciler begins anew with what was off its hands, or is to run something else.
  const restart = active && (!component.active || !sameArtifacts(desired, component.desired));
  return {
    ...component,
    active,
    desired,
    actual: change.actual === undefined ? component.actual : mergeActual(component.actual, change.actual, context),
    staged: change.staged === undefined ? component.staged : mergeStaged(component.staged, change.staged),
    session: change.session ?? (saidDesired === undefined ? component.session : ""),
    error: change.error === undefined ? component.error : change.error === "" ? undefined : change.error,
    retryPolicy: change.retryPolicy ?? component.retryPolicy,
    attempts: afresh ? 0 : (attempts?.powerOn ?? component.attempts),
    phase: change.phase ?? component.phase,
    statusOverride: change.active === true ? "on_hold" : (change.statusOverride ?? component.statusOverride),
    told: toldOf(component, change, afresh, context),
    ...(restart && {
      lastAction: "",
      actionTime: context.now.toISOString(),
      bootId: undefined,
      options: context.options,
    }),
  };
}

function toldOf(
  { told }: Component,
  { action, attempts, actual, staged }: ComponentChange,
  afresh: boolean,
  { timestamp }: ChangeContext,
): Component["told"] {
  return {
    action: action?.action ?? told.action,
    failed: action?.failed ?? told.failed,
    gracefulAttempts: afresh ? 0 : (attempts?.graceful ?? told.gracefulAttempts),
    forcefulAttempts: afresh ? 0 : (attempts?.forceful ?? told.forcefulAttempts),
    actionUpdated: action === undefined ? told.actionUpdated : timestamp,
    // A token alone says nothing new.
    desiredUpdated: afresh ? timestamp : told.desiredUpdated,
    actualUpdated: actual === undefined ? told.actualUpdated : timestamp,
    stagedUpdated: staged === undefined ? told.stagedUpdated : timestamp,
  };
}

const nothing: BootTargetState = {
  imageId: "",
  buildId: "",
  kernel: "",
  initrd: "",
  kernelParameters: "",
  configuration: "",
};

function mergeTarget(before: BootTargetState = nothing, change: DesiredChange): BootTargetState {
  const { artifacts, configuration = before.configuration, bssToken = before.bssToken } = change;
  return { ...withArtifacts(before, artifacts), configuration, bssToken };
}

/** Which image and build it is has to be looked up when other files are meant. */
function withArtifacts<State extends BootTargetState>(before: State, artifacts: Partial<BootArtifacts> = {}): State {
  const after = { ...before, ...artifacts };
  if (sameArtifacts(after, before)) return after;
  return { ...after, imageId: imageOfLink(after.kernel) ?? "", buildId: "", bssToken: undefined };
}

function sameArtifacts(one: BootArtifacts = nothing, other: BootArtifacts = nothing): boolean {
  return one.kernel === other.kernel && one.initrd === other.initrd && one.kernelParameters === other.kernelParameters;
}

function mergeActual(
  before: ActualState = { ...nothing, bootId: "" },
  { artifacts, bssToken = before.bssToken }: NonNullable<ComponentChange["actual"]>,
  { tokens }: ChangeContext,
): ActualState {
  const written = bssToken === undefined ? undefined : tokens.get(bssToken);
  const after = withArtifacts(before, written ?? artifacts);
  // What we saw boot is believed only as long as the node says the same.
  return { ...after, bssToken, bootId: after.buildId === "" ? "" : before.bootId };
}

function mergeStaged(
  before: Component["staged"],
  { session = before?.session ?? "", artifacts, configuration }: NonNullable<ComponentChange["staged"]>,
): Component["staged"] {
  const change = {
    ...(artifacts !== undefined && { artifacts }),
    ...(configuration !== undefined && { configuration }),
  };
  const said = artifacts !== undefined || configuration !== undefined;
  return { session, state: said ? mergeTarget(before?.state, change) : before?.state };
}

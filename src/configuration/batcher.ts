/** Which sessions are to be started for components that are pending: the rules, without tables and timers. */
import type { ConfigurationOptions } from "./options.ts";
import { desiredLayers } from "./standing.ts";
import type { Configuration, ConfigurationSession, ConfigurationSessionRequest, ConfiguredComponent } from "./types.ts";

type Options = Pick<
  ConfigurationOptions,
  | "batcherCheckInterval"
  | "batcherMaxBackoff"
  | "batcherPendingTimeout"
  | "batchSize"
  | "batchWindow"
  | "defaultAnsibleConfig"
  | "defaultBatcherRetryPolicy"
>;

/** What a look at the tables shows. */
export interface BatcherView {
  /** Those that are enabled and pending. */
  readonly components: readonly ConfiguredComponent[];
  /** Of those components, by name. */
  readonly configurations: ReadonlyMap<string, Configuration>;
  /** The batcher's own sessions. */
  readonly sessions: readonly ConfigurationSession[];
  readonly options: Options;
  readonly now: Date;
}

export interface BatcherStep {
  /** Without names. */
  readonly create: readonly Omit<ConfigurationSessionRequest, "name">[];
  /** Names of sessions that nobody has begun for too long. */
  readonly remove: readonly string[];
}

/** The components that a session was made for by the batcher, by their ids, which are no patterns; of others none. */
export function batchOf({ batch, ansible }: Pick<ConfigurationSession, "batch" | "ansible">): string[] {
  return batch === true && ansible.limit !== undefined ? ansible.limit.split(",") : [];
}

/** Sessions that are not complete; each waits for a worker, so more would only wait longer. */
const underWayAtMost = 16;

/**
 * Components that need the same (configuration, layers, and as many tries before) share a session: as soon as there are
 * enough for a full one, and otherwise when the first of them has waited long enough.
 */
export function batcherStep(view: BatcherView): BatcherStep {
  const { sessions, options, now } = view;
  const secondsSince = (time: string) => (now.getTime() - Date.parse(time)) / 1000;
  const unfinished = sessions.filter(({ status }) => status !== "complete");
  const isOverdue = ({ status, startTime }: ConfigurationSession) =>
    status === "pending" && secondsSince(startTime) > options.batcherPendingTimeout;
  const remove = unfinished.filter(isOverdue).map(({ name }) => name);
  const taken = new Set(unfinished.flatMap(batchOf));
  const create: BatcherStep["create"][number][] = [];
  const room = underWayAtMost - unfinished.length;
  for (const group of groupsOf(view, taken)) {
    if (secondsUntilTry(group.configuration, view) > 0) continue;
    for (let start = 0; start < group.components.length && create.length < room; start += options.batchSize) {
      const batch = group.components.slice(start, start + options.batchSize);
      const waited = Math.max(...batch.map(({ pendingSince }) => secondsSince(pendingSince ?? now.toISOString())));
      const isFull = batch.length === options.batchSize && group.errors === 0;
      if (isFull || waited >= waitOf(group.errors, options)) create.push(requestOf(group, batch, options));
    }
  }
  return { create, remove };
}

interface Group {
  readonly configuration: string;
  readonly limit: string;
  readonly errors: number;
  /** The longest waiting first. */
  readonly components: readonly ConfiguredComponent[];
}

function groupsOf({ components, configurations, options }: BatcherView, taken: ReadonlySet<string>): Group[] {
  const groups = new Map<string, Group & { components: ConfiguredComponent[] }>();
  for (const component of components) {
    const configuration = configurations.get(component.desiredConfig);
    if (configuration === undefined || taken.has(component.id)) continue;
    const limit = limitOf(configuration, component, options);
    const key = JSON.stringify([component.desiredConfig, limit, component.errorCount]);
    const group = groups.get(key) ?? {
      configuration: component.desiredConfig,
      limit,
      errors: component.errorCount,
      components: [],
    };
    group.components.push(component);
    groups.set(key, group);
  }
  const waiting = ({ pendingSince = "" }: ConfiguredComponent) => pendingSince;
  for (const { components: some } of groups.values()) {
    some.sort((a, b) => (waiting(a) < waiting(b) ? -1 : waiting(a) > waiting(b) ? 1 : 0));
  }
  return [...groups.values()];
}

/** The places of the layers that are not applied; empty when none is. */
function limitOf(
  { layers }: Configuration,
  component: ConfiguredComponent,
  { defaultBatcherRetryPolicy }: Options,
): string {
  const desired = desiredLayers(layers, component, defaultBatcherRetryPolicy);
  const left = desired.flatMap(({ status }, index) => (status === "configured" ? [] : [String(index)]));
  return left.length === layers.length ? "" : left.join(",");
}

/** How long a component waits for others, or, after a failure, before it is tried again: each time twice as long. */
function waitOf(errors: number, { batchWindow, batcherCheckInterval, batcherMaxBackoff }: Options): number {
  return errors === 0 ? batchWindow : Math.min(batcherMaxBackoff, batcherCheckInterval * 2 ** (errors - 1));
}

/**
 * Sessions that came to nothing at all say nothing about their components: the repository cannot be read, or the worker
 * died. The configuration is tried again later and later.
 */
function secondsUntilTry(configuration: string, { sessions, options, now }: BatcherView): number {
  const ended = sessions
    .filter((session) => session.configuration === configuration && session.status === "complete")
    .toSorted((a, b) => (endOf(a) < endOf(b) ? 1 : -1));
  const sound = ended.findIndex(({ error }) => error === undefined);
  const broken = sound === -1 ? ended.length : sound;
  if (broken === 0) return 0;
  const since = (now.getTime() - Date.parse(endOf(ended[0]))) / 1000;
  return waitOf(broken, options) - since;
}

function endOf(session: ConfigurationSession | undefined): string {
  return session?.completionTime ?? session?.startTime ?? "";
}

function requestOf(
  { configuration, limit }: Group,
  batch: readonly ConfiguredComponent[],
  { defaultAnsibleConfig }: Options,
): BatcherStep["create"][number] {
  return {
    configuration,
    configurationLimit: limit,
    ansible: { config: defaultAnsibleConfig, verbosity: 0, limit: batch.map(({ id }) => id).join(",") },
    target: { definition: "dynamic" },
    tags: {},
    debugOnFailure: false,
    batch: true,
  };
}

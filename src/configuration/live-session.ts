/** Carries a session on live nodes through: its layers in order, and what came of each on each node. */
import { timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { batchOf } from "./batcher.ts";
import type { ConfiguredComponentStore } from "./components.ts";
import { limitLayers } from "./image-session.ts";
import type { ConfigurationSessionStore } from "./sessions.ts";
import type { ComponentChange, Configuration, ConfigurationSession, Layer, LayerStatus } from "./types.ts";

export interface PlayResult {
  /** Of each host that it was run for. */
  readonly outcomes: ReadonlyMap<string, LayerStatus>;
  /** Why it failed, in one line. */
  readonly error?: string;
}

/** A session as far as it was prepared: the repositories are there, and it is known which hosts are meant. */
export interface LiveRun {
  /** Of a batch those of its components that are hosts, which may be none. */
  readonly hosts: readonly string[];
  play(layer: Layer, index: number, hosts: readonly string[]): Promise<PlayResult>;
}

export interface LiveSessionPorts {
  readonly sessions: Pick<ConfigurationSessionStore, "report">;
  readonly components: Pick<ConfiguredComponentStore, "record">;
  /** Throws `NetkilnError` for what keeps the session from beginning. */
  prepare(session: ConfigurationSession, layers: readonly Layer[]): Promise<LiveRun>;
  /** A line of the session's log. */
  say(line: string): void;
}

/**
 * A host on which a layer fails is left out of the layers after it; the others go on. A component of a batch that is no
 * host has failed, as one that cannot be reached. The session succeeded when nobody was left out. Throws what it cannot
 * tell about, such as that it was stopped.
 */
export async function runLiveSession(
  session: ConfigurationSession,
  findConfiguration: () => Promise<Pick<Configuration, "layers">>,
  ports: LiveSessionPorts,
): Promise<void> {
  const { name } = session;
  await ports.sessions.report(name, { status: "running" });
  try {
    const layers = limitLayers((await findConfiguration()).layers, session.configurationLimit);
    const run = await ports.prepare(session, layers);
    const lost = await playAll(session, layers, run, ports);
    await ports.sessions.report(name, {
      ...{ status: "complete", completionTime: timestamp() },
      succeeded: lost === 0 ? "true" : "false",
    });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    ports.say(`==> failed: ${error.message}`);
    for (const line of [...error.output, ...(error.hint === undefined ? [] : [error.hint])]) ports.say(`    ${line}`);
    await endLiveSession(name, error.message, ports);
  }
}

/** The session is over, and was not carried through. */
export async function endLiveSession(
  name: string,
  error: string,
  { sessions }: Pick<LiveSessionPorts, "sessions">,
): Promise<void> {
  await sessions.report(name, { status: "complete", succeeded: "false", completionTime: timestamp(), error });
}

/** Returns how many hosts, and components that should have been hosts, did not get through. */
async function playAll(
  session: ConfigurationSession,
  layers: readonly Layer[],
  run: LiveRun,
  ports: LiveSessionPorts,
): Promise<number> {
  const missing = missingOf(session, layers, run);
  if (missing.length > 0) ports.say(`==> no host of the inventory, and so failed: ${missing.join(", ")}`);
  let hosts = run.hosts;
  for (const [index, layer] of layers.entries()) {
    if (hosts.length === 0) break;
    ports.say(
      `==> layer ${index} (${layer.name ?? layer.playbook}): ${layer.playbook} on ${hosts.length} of the hosts`,
    );
    const { outcomes, error } = await run.play(layer, index, hosts);
    if (error !== undefined) ports.say(`==> ${error}`);
    if (recordsState(session)) await ports.components.record(changesOf(session, layer, outcomes));
    hosts = hosts.filter((host) => ["applied", "skipped"].includes(outcomes.get(host) ?? "failed"));
  }
  if (recordsState(session)) {
    const attempt = { configuration: session.configuration, succeeded: true };
    const through = new Map<string, ComponentChange>(hosts.map((host) => [host, { attempt }]));
    await ports.components.record(new Map([...through, ...failuresOf(session, layers, missing)]));
  }
  return run.hosts.length - hosts.length + missing.length;
}

/** Nodes that HSM does not know, and whatever else is no node; without layers nothing has to be reached. */
function missingOf(session: ConfigurationSession, layers: readonly Layer[], { hosts }: LiveRun): string[] {
  const known = new Set(hosts);
  return layers.length === 0 ? [] : batchOf(session).filter((id) => !known.has(id));
}

/** They fail at the first layer, and are left out of those after it. */
function failuresOf(
  session: ConfigurationSession,
  [first]: readonly Layer[],
  missing: readonly string[],
): Map<string, ComponentChange> {
  return first === undefined ? new Map() : changesOf(session, first, new Map(missing.map((id) => [id, "failed"])));
}

/** What is passed to Ansible may leave tasks out, so nobody can tell what has been applied; as CFS has it. */
function recordsState({ ansible, configuration }: ConfigurationSession): boolean {
  return (ansible.passthrough ?? "") === "" && !configuration.startsWith("debug_");
}

function changesOf(
  { name, configuration }: ConfigurationSession,
  { url, playbook, commit }: Layer,
  outcomes: ReadonlyMap<string, LayerStatus>,
): Map<string, ComponentChange> {
  const known = { url, playbook, commit, lastUpdated: timestamp(), sessionName: name };
  return new Map(
    [...outcomes].map(([host, status]) => [
      host,
      {
        stateAppend: { ...known, status },
        ...(status === "failed" && { attempt: { configuration, succeeded: false } }),
      },
    ]),
  );
}

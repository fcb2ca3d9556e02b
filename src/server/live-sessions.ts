import { createWriteStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { debugLayer, prepareLiveRun } from "../build/index.ts";
import {
  endLiveSession,
  inventoryText,
  nodeKey,
  roleGroups,
  runLiveSession,
  type Configuration,
  type ConfigurationSession,
  type InventoryHost,
  type LiveSessionPorts,
} from "../configuration/index.ts";
import type { Handler } from "../job/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import type { Node } from "../node/index.ts";
import { inventoryForAll } from "./additional-inventory.ts";
import type { Config } from "./config.ts";
import { everyPage } from "./lifecycle/uses.ts";
import type { House } from "./open.ts";

export const liveSessionJob = "configuration-session";

/** What a session on live nodes leaves: `log`, and for a while `work` when it failed and that was asked for. */
export function runFolder(data: string, run: string): string {
  return join(data, "configuration-sessions", run);
}

export function nodeKeyFolder(data: string): string {
  return join(data, "keys", "nodes");
}

/** A worker that dies on a session loses what Ansible was at; one that dies twice is not to blame for it alone. */
const triesAtMost = 2;

/** What a worker does with sessions on live nodes; the job's subject is the run of one. */
export function liveSessionHandler(house: House, config: Config): Handler {
  return {
    run: async (job, signal) => {
      const session = await house.configurationSessions.findByRun(job.subject);
      // Removed before it was begun, or ended by a worker that died right after.
      if (session === undefined || session.status === "complete") return;
      if (job.attempt > triesAtMost) {
        await endLiveSession(session.name, `given up: the worker died ${triesAtMost} times on it`, ports(house));
        return;
      }
      const removed = new AbortController();
      const watch = watchRemoval(house, job.subject, removed);
      try {
        await carryThrough(session, AbortSignal.any([signal, removed.signal]), house, config);
      } catch (error) {
        const isWanted = (await house.configurationSessions.findByRun(job.subject)) !== undefined;
        if (isWanted || signal.aborted) throw error;
      } finally {
        clearInterval(watch);
      }
    },
    failed: async (job, error) => {
      const session = await house.configurationSessions.findByRun(job.subject);
      if (session !== undefined) await endLiveSession(session.name, error.message, ports(house)).catch(unlessGone);
    },
  };
}

function ports(house: House): Pick<LiveSessionPorts, "sessions"> {
  return { sessions: house.configurationSessions };
}

function unlessGone(error: unknown): void {
  if (!(error instanceof NetkilnError) || error.code !== "not_found") throw error;
}

const removalPollMs = 500;

/** Who removes a session that runs wants it stopped. */
function watchRemoval(house: House, run: string, removed: AbortController): NodeJS.Timeout {
  return setInterval(() => {
    house.configurationSessions.findByRun(run).then(
      (session) => {
        if (session === undefined) removed.abort(new Error("the session was removed"));
      },
      (error: unknown) => log.warn({ error, run }, "cannot look after a session"),
    );
  }, removalPollMs);
}

async function carryThrough(
  session: ConfigurationSession,
  signal: AbortSignal,
  house: House,
  config: Config,
): Promise<void> {
  const folder = runFolder(house.data, session.run ?? "");
  const work = join(folder, "work");
  await rm(work, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await mkdir(work, { mode: 0o700 });
  const file = createWriteStream(join(folder, "log"), { flags: "a" });
  // A full disk must not end the session by way of its log.
  file.on("error", () => undefined);
  const say = (line: string) => void (file.writable && file.write(`${line}\n`));
  try {
    const find = () => configurationOf(session, house);
    await runLiveSession(session, find, {
      ...{ sessions: house.configurationSessions, components: house.configuredComponents, say },
      prepare: async (_, layers) => {
        const key = await nodeKey(nodeKeyFolder(house.data));
        const { additionalInventory: own } = await find();
        const nodes = await everyPage(
          (page) => house.nodes.list(page),
          ({ xname }) => xname,
        );
        const plan = {
          ...{ session, layers, work, key, hostKeys: config.node_host_keys },
          additionalInventory: own ?? (await inventoryForAll(house)),
          inventory: await inventoryOf(session, nodes, house),
          config: await ansibleConfig(session, house),
        };
        const run = await prepareLiveRun(plan, house.git, { signal, onLine: say });
        // Nodes that came lately are no components yet, and what becomes of them now would be written down nowhere.
        const known = new Set(nodes.map(({ xname }) => xname));
        await house.configuredComponents.add(run.hosts.filter((host) => known.has(host)));
        return run;
      },
    });
  } finally {
    file.end();
    await finished(file).catch(() => undefined);
    const after = await house.configurationSessions.find(session.name);
    if (after === undefined || after.run !== session.run) await rm(folder, { recursive: true, force: true });
    else if (!(await isKept(after, work, house))) await rm(work, { recursive: true, force: true });
  }
}

async function configurationOf(
  session: ConfigurationSession,
  house: House,
): Promise<Pick<Configuration, "layers" | "additionalInventory">> {
  const debug = debugLayer(session.configuration);
  if (debug !== undefined) return { layers: [debug] };
  const configuration = await house.configurations.find(session.configuration);
  if (configuration !== undefined) return configuration;
  throw new NetkilnError("not_found", `there is no configuration "${session.configuration}"`);
}

/** A file of the site's, in the place of CFS's ConfigMaps; without one, the name of CFS's default means nothing. */
async function ansibleConfig({ ansible }: ConfigurationSession, house: House): Promise<string | undefined> {
  const { defaultAnsibleConfig } = await house.configurationOptions.get();
  const file = join(house.data, "ansible", `${ansible.config}.cfg`);
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(ansible.config)) {
    if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
  }
  if ([defaultAnsibleConfig, "cfs-default-ansible-cfg"].includes(ansible.config)) return undefined;
  throw new NetkilnError("not_found", `there is no Ansible configuration "${ansible.config}"`, {
    hint: `it is looked for as ${file}`,
  });
}

/** Undefined where the repositories bring it. */
async function inventoryOf(
  { target }: ConfigurationSession,
  nodes: readonly Node[],
  house: House,
): Promise<string | undefined> {
  if (target.definition === "repo") return undefined;
  if (target.definition === "dynamic") return inventoryText(await allNodes(nodes, house));
  const groups = target.groups ?? [];
  const named = [...new Set(groups.flatMap(({ members }) => members))];
  const known = new Map(nodes.flatMap((node) => [node.xname, node.alias].map((name) => [name, node])));
  return inventoryText(
    named.map((name) => ({
      ...{ name, address: addressOf(known.get(name)) },
      groups: groups.filter(({ members }) => members.includes(name)).map((group) => group.name),
    })),
  );
}

async function allNodes(nodes: readonly Node[], { inventory }: House): Promise<InventoryHost[]> {
  const partitions = await inventory.partitions.list({ labels: [], tags: [] });
  const within = Map.groupBy(
    partitions.flatMap(({ label, members }) => members.map((xname) => ({ xname, label }))),
    ({ xname }) => xname,
  );
  return nodes.map((node) => ({
    ...{ name: node.xname, address: addressOf(node) },
    groups: [...roleGroups(node), ...node.groups, ...(within.get(node.xname) ?? []).map(({ label }) => label)],
  }));
}

function addressOf(node: Node | undefined): string | undefined {
  return node?.interfaces.find(({ ip }) => ip !== undefined && isIP(ip) !== 0)?.ip;
}

/** Sessions that nobody has begun are put into the queue, each under a run of its own. */
export async function queueLiveSessions(house: House): Promise<void> {
  for (const session of await house.configurationSessions.list({ status: "pending" })) {
    if (session.target.definition === "image") continue;
    const run = session.run ?? clock.uuid();
    if (session.run === undefined) {
      const job = session.job ?? `cfs-${clock.uuid()}`;
      await house.configurationSessions.report(session.name, { run, job }).catch(unlessGone);
    }
    await house.jobs.enqueue(liveSessionJob, run);
  }
}

/** Whether somebody may be looking for what went wrong; `complete` in the folder says that they are done. */
async function isKept(session: ConfigurationSession, work: string, house: House): Promise<boolean> {
  if (session.status !== "complete") return true;
  if (!session.debugOnFailure || session.succeeded === "true") return false;
  if ((await stat(join(work, "complete")).catch(() => undefined)) !== undefined) return false;
  const { debugWaitTime } = await house.configurationOptions.get();
  return clock.now().getTime() - Date.parse(session.completionTime ?? "") < debugWaitTime * 1000;
}

/** Removes what sessions have left that are gone, and what nobody needs any more of the others. */
export async function sweepRuns(house: House): Promise<void> {
  const folder = join(house.data, "configuration-sessions");
  for (const run of await readdir(folder).catch(() => [])) {
    const session = await house.configurationSessions.findByRun(run);
    const work = join(folder, run, "work");
    if (session === undefined) await rm(join(folder, run), { recursive: true, force: true });
    else if (!(await isKept(session, work, house))) await rm(work, { recursive: true, force: true });
  }
}

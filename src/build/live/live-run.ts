import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import {
  batchOf,
  watchRecap,
  type ConfigurationSession,
  type GitStore,
  type Layer,
  type LiveRun,
  type NodeKey,
  type PinnedRepository,
  type PlayResult,
} from "../../configuration/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv, RunOptions, RunResult } from "../../lib/exec.ts";
import { ansibleEnvironment, filesIn, type StreamedRun } from "../layer/ansible.ts";
import { watchForFailure } from "../layer/ansible-failure.ts";
import { readAnsibleConfig } from "../layer/ansible-repository.ts";
import { installRequirements, missingRequirements } from "../layer/requirements.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { liveArguments, type LiveArguments } from "./arguments.ts";

/** A run of Ansible against live nodes. */
export interface LivePlan {
  readonly session: Pick<ConfigurationSession, "ansible" | "batch" | "target">;
  readonly layers: readonly Layer[];
  readonly additionalInventory: PinnedRepository | undefined;
  /** In the form of Ansible's yaml plugin; undefined where each repository brings a file `hosts`. */
  readonly inventory: string | undefined;
  /** The ansible.cfg that the session names; the repository's own counts when undefined. */
  readonly config: string | undefined;
  readonly key: NodeKey;
  /** `accept-new`: a node's key is taken when it is met first, and another one is refused; `off`: any is taken. */
  readonly hostKeys: "accept-new" | "off";
  /** An empty folder of its own. */
  readonly work: string;
}

/** Puts the repositories into the folder, and asks Ansible which hosts the session is for. */
export async function prepareLiveRun(
  plan: LivePlan,
  git: Pick<GitStore, "export">,
  options: StreamedRun,
): Promise<LiveRun> {
  const { passthrough = "", limit } = plan.session.ansible;
  const given = liveArguments(passthrough, batchOf(plan.session).length > 0 ? undefined : limit);
  const { work, layers, additionalInventory: more } = plan;
  await mkdir(join(work, "facts"), { recursive: true });
  if (plan.inventory !== undefined) await writeFile(inventoryFile(plan), plan.inventory);
  if (more !== undefined) await exportInto(join(work, "inventory"), more, git);
  for (const [index, layer] of layers.entries()) await stage(repositoryOf(plan, index), layer, git);
  for (const [index, text] of given.variables.entries()) await writeFile(variablesFile(plan, index), text);
  const hosts = layers.length === 0 ? [] : await hostsOf(plan, given, options);
  return { hosts, play: (layer, index, some) => play(plan, given, { layer, index, hosts: some }, options) };
}

/** What CFS has under these names, for those who look for a fault. */
const debugPlaybooks: Readonly<Record<string, string>> = {
  debug_noop: "- hosts: all\n  gather_facts: false\n  tasks: []\n",
  debug_facts: "- hosts: all\n  gather_facts: true\n  tasks:\n    - ansible.builtin.debug: {var: ansible_facts}\n",
  debug_fail: '- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.fail: {msg: "as asked"}\n',
};

/** The one layer of a configuration that is not in the tables. */
export function debugLayer(configuration: string): Layer | undefined {
  if (debugPlaybooks[configuration] === undefined) return undefined;
  return { url: "", playbook: `${configuration}.yml`, commit: "0".repeat(40) };
}

async function stage(folder: string, layer: Layer, git: Pick<GitStore, "export">): Promise<void> {
  const text = layer.url === "" ? debugPlaybooks[layer.playbook.replace(/\.yml$/, "")] : undefined;
  if (text === undefined) {
    await exportInto(folder, layer, git);
  } else {
    await mkdir(folder);
    await writeFile(join(folder, layer.playbook), text);
  }
  if (!(await filesIn(folder)).includes(layer.playbook)) {
    const place = `it is looked for at commit ${layer.commit.slice(0, 12)} of ${layer.url}`;
    throw new NetkilnError("not_found", `there is no playbook ${layer.playbook}`, { hint: place });
  }
}

async function exportInto(folder: string, { url, commit }: PinnedRepository, git: Pick<GitStore, "export">) {
  await mkdir(folder);
  await git.export(url, commit, folder);
}

const inventoryFile = ({ work }: LivePlan) => join(work, "inventory.json");
const repositoryOf = ({ work }: LivePlan, index: number) => join(work, `layer-${index}`);
const variablesFile = ({ work }: LivePlan, index: number) => join(work, `variables-${index}.json`);

function inventories(plan: LivePlan, index: number): string[] {
  const first = plan.inventory === undefined ? join(repositoryOf(plan, index), "hosts") : inventoryFile(plan);
  const more = plan.additionalInventory === undefined ? [] : ["-i", join(plan.work, "inventory")];
  return ["-i", first, ...more];
}

/** Ansible's own word on what a limit means; a batch's is none, but ids of components, which can look like patterns. */
async function hostsOf(plan: LivePlan, { limit }: LiveArguments, options: StreamedRun): Promise<string[]> {
  const batch = new Set(batchOf(plan.session));
  const limited = limit === undefined ? [] : [`--limit=${limit}`];
  const argv: Argv = ["ansible", "all", "--list-hosts", ...inventories(plan, 0), ...limited];
  const { env } = await settings(plan, { layer: plan.layers[0], index: 0 });
  const { signal } = options;
  const result = await runOutside(argv, { signal, env, cwd: repositoryOf(plan, 0), okExitCodes: "any" });
  const hosts = [...result.stdout.matchAll(/^ {4}(\S+)$/gm)].map(([, host = ""]) => host);
  // Ansible goes on without what it cannot read, and then knows none of the hosts in it.
  const unread = result.stderr.split("\n").filter((line) => /Unable to parse/.test(line));
  for (const line of unread) options.onLine(line, "stderr");
  if (result.exitCode === 0 && batch.size > 0) {
    const found = hosts.filter((host) => batch.has(host));
    if (found.length > 0 || unread.length === 0) return found;
  } else if (result.exitCode === 0 && hosts.length > 0) return hosts;
  throw new NetkilnError("invalid_input", limit === undefined ? "there are no hosts" : `no host matches ${limit}`, {
    output: result.stderr.split("\n").filter((line) => /ERROR|WARNING/.test(line)),
  });
}

interface Play {
  readonly layer: Layer;
  /** Which layer of the session it is. */
  readonly index: number;
  readonly hosts: readonly string[];
}

async function play(
  plan: LivePlan,
  given: LiveArguments,
  { layer, index, hosts }: Play,
  options: StreamedRun,
): Promise<PlayResult> {
  const repository = repositoryOf(plan, index);
  const { env, config } = await settings(plan, { layer, index });
  const missing = await missingRequirements(repository, config, await filesIn(repository));
  const galaxy = { work: plan.work, network: true, run: runOutside };
  await installRequirements(missing, join(plan.work, "galaxy"), galaxy, { ...options, env });
  const limit = join(plan.work, `hosts-${index}`);
  await writeFile(limit, hosts.map((host) => `${host}\n`).join(""));
  const { verbosity } = plan.session.ansible;
  const argv: Argv = [
    ...(["ansible-playbook", ...inventories(plan, index), "--limit", `@${limit}`, ...given.words] as const),
    ...given.variables.flatMap((_, variables) => ["-e", `@${variablesFile(plan, variables)}`]),
    ...(verbosity > 0 ? [`-${"v".repeat(verbosity)}`] : []),
    layer.playbook,
  ];
  const recap = watchRecap();
  const failure = watchForFailure(repository);
  const { exitCode } = await runOutside(argv, {
    ...{ signal: options.signal, env, cwd: repository, okExitCodes: "any" },
    onLine: (line, stream) => {
      recap.see(line);
      failure.see(line);
      options.onLine(line, stream);
    },
  });
  const outcomes = recap.outcomes(hosts, exitCode === 0);
  if (exitCode === 0) return { outcomes };
  return { outcomes, error: [`the playbook ${layer.playbook} failed`, ...failure.told()].join(": ").slice(0, 2000) };
}

/** On this host, in namespaces: whatever ends this ends Ansible with all its connections. */
function runOutside(argv: Argv, options: RunOptions): Promise<RunResult> {
  // Sockets of connections have a short path there, and go with the rest.
  const wrapped: Argv = ["/bin/sh", "-c", 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm && "$@"', "live", ...argv];
  return runIsolated(wrapped, { ...options, name: argv[0] });
}

async function settings(plan: LivePlan, { layer, index }: { layer: Layer | undefined; index: number }) {
  const repository = repositoryOf(plan, index);
  const file = plan.config ?? join(repository, "ansible.cfg");
  const text = await readFile(file, "utf8").catch(() => "");
  const config = readAnsibleConfig(text, posix.dirname(layer?.playbook ?? ""));
  const env = {
    ...ansibleEnvironment(plan.work, repository, config),
    ANSIBLE_CONFIG: file,
    // Of a node they are gathered once for all layers.
    ANSIBLE_GATHERING: "smart",
    ANSIBLE_CACHE_PLUGIN: "jsonfile",
    ANSIBLE_CACHE_PLUGIN_CONNECTION: join(plan.work, "facts"),
    ANSIBLE_STDOUT_CALLBACK: "default",
    ANSIBLE_PYTHON_INTERPRETER: "auto_silent",
    ANSIBLE_REMOTE_USER: "root",
    ANSIBLE_PRIVATE_KEY_FILE: plan.key.file,
    ANSIBLE_SSH_CONTROL_PATH_DIR: "/dev/shm/cp",
    // ansible.cfg may not turn off what is said of keys; of two options ssh takes the first.
    ANSIBLE_HOST_KEY_CHECKING: String(plan.hostKeys !== "off"),
    ANSIBLE_SSH_ARGS: "-C -o ControlMaster=auto -o ControlPersist=60s",
    ANSIBLE_SSH_COMMON_ARGS: sshOptions(plan)
      .map(([name, value]) => `-o '${name}=${value}'`)
      .join(" "),
    ...(!/^\s*forks\s*=/m.test(text) && { ANSIBLE_FORKS: "25" }),
  };
  return { env, config };
}

function sshOptions({ key, hostKeys }: LivePlan): (readonly [string, string])[] {
  return [
    ["UserKnownHostsFile", hostKeys === "off" ? "/dev/null" : `"${key.knownHosts}"`],
    ["GlobalKnownHostsFile", "/dev/null"],
    // Whoever has to forget a node finds it there.
    ["HashKnownHosts", "no"],
    ["StrictHostKeyChecking", hostKeys === "off" ? "no" : "accept-new"],
    ["IdentitiesOnly", "yes"],
    ["IdentityAgent", "none"],
    ["PasswordAuthentication", "no"],
    ["ForwardAgent", "no"],
    // A node that dies on the way must not hold the session.
    ["ServerAliveInterval", "15"],
    ["ServerAliveCountMax", "4"],
  ];
}

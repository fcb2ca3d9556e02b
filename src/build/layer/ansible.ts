import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { BlobStore } from "../../artifact/index.ts";
import type { GitStore, Layer, PinnedRepository } from "../../configuration/index.ts";
import type { Recipe } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv, RunOptions } from "../../lib/exec.ts";
import { canonicalJson } from "../../lib/files.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import { watchForFailure } from "./ansible-failure.ts";
import { readAnsibleConfig, type AnsibleConfig } from "./ansible-repository.ts";
import { stageRecipeFiles } from "./files.ts";
import { parsePassthrough } from "./passthrough.ts";
import { installRequirements, missingRequirements, type Fetched } from "./requirements.ts";
import { maskedError, refuseSecretsIn, resolveSecrets, secretInputs, type SecretReferences } from "./secrets.ts";

/** The same in every build, so that a template with inventory_hostname gives the same bytes. */
const inventoryName = "node";

export interface AnsibleOptions {
  /** Variables of the play that win over all others. */
  readonly extraVars?: Readonly<Record<string, unknown>>;
  /** As CFS's ansible_passthrough: arguments for ansible-playbook, such as `--tags slurm`. */
  readonly passthrough?: string;
  /**
   * By name: a variable of the play, or, as `vault:ID`, the password of a vault with that id (`vault:default` where
   * no id was given).
   */
  readonly secrets?: SecretReferences;
}

export interface AnsibleLayer extends AnsibleOptions {
  readonly layer: Layer;
  readonly groups: readonly string[];
  readonly inventory: PinnedRepository | undefined;
}

/** A playbook of a recipe's own files. */
export interface RecipePlaybook extends AnsibleOptions {
  readonly recipe: Recipe;
  readonly playbook: string;
  readonly groups: readonly string[];
}

export interface AppliedPlaybook {
  /** What requirements.yml made ansible-galaxy fetch. */
  readonly fetched: readonly Fetched[];
}

export type StreamedRun = RunOptions & { readonly onLine: NonNullable<RunOptions["onLine"]> };

export interface PlayOptions extends StreamedRun {
  /** Folder in which Ansible's own modules are kept as it packs them; without one each play packs them again. */
  readonly packedModules?: string;
}

/** What the options add to a layer's key; secrets are there by their reference alone. */
export function ansibleOptionInputs({ extraVars, passthrough, secrets }: AnsibleOptions): Record<string, string> {
  return {
    ...(extraVars !== undefined && { "extra vars": canonicalJson(extraVars) }),
    ...(passthrough !== undefined && { "ansible passthrough": passthrough }),
    ...secretInputs(secrets),
  };
}

/**
 * Runs one playbook, at its commit, against the tree of the sandbox.
 * The play runs on this host and reaches the tree by Ansible's chroot connection.
 */
export async function applyAnsibleLayer(
  { layer, inventory, ...rest }: AnsibleLayer,
  epoch: number,
  git: GitStore,
  sandbox: Sandbox,
  options: PlayOptions,
): Promise<AppliedPlaybook> {
  const stage = (folder: string) => git.export(layer.url, layer.commit, folder);
  const more = inventory && ((folder: string) => git.export(inventory.url, inventory.commit, folder));
  const place = `it is at commit ${layer.commit.slice(0, 12)} of ${layer.url}`;
  return runPlaybook({ ...rest, playbook: layer.playbook, stage, inventory: more, place }, epoch, sandbox, options);
}

/** Runs a playbook that is among the files of a recipe, which are all there beside it. */
export async function applyRecipePlaybook(
  { recipe, ...rest }: RecipePlaybook,
  epoch: number,
  blobs: BlobStore,
  sandbox: Sandbox,
  options: PlayOptions,
): Promise<AppliedPlaybook> {
  const stage = (folder: string) => stageRecipeFiles(recipe.files, blobs, folder);
  const place = `it is in the recipe ${recipe.name}`;
  return runPlaybook({ ...rest, stage, inventory: undefined, place }, epoch, sandbox, options);
}

interface Play extends AnsibleOptions {
  readonly playbook: string;
  readonly groups: readonly string[];
  /** Puts the repository into an empty folder. */
  readonly stage: (folder: string) => Promise<void>;
  readonly inventory: ((folder: string) => Promise<void>) | undefined;
  /** Where the playbook is, for who has to correct it. */
  readonly place: string;
}

async function runPlaybook(
  play: Play,
  epoch: number,
  sandbox: Sandbox,
  { packedModules, ...options }: PlayOptions,
): Promise<AppliedPlaybook> {
  const { work } = sandbox;
  const repository = join(work, "repository");
  await mkdir(repository);
  await play.stage(repository);
  const files = await filesIn(repository);
  if (!files.includes(play.playbook)) {
    throw new NetkilnError("not_found", `there is no playbook ${play.playbook}`, { hint: play.place });
  }
  const cfg = files.includes("ansible.cfg") ? await readFile(join(repository, "ansible.cfg"), "utf8") : "";
  const config = readAnsibleConfig(cfg, posix.dirname(play.playbook));
  const secrets = await resolveSecrets(play.secrets ?? {});
  const { mask } = secrets;
  const masked: StreamedRun = { ...options, onLine: (line, stream) => options.onLine(mask(line), stream) };
  const env = environment(work, repository, config, epoch, secrets.values.size > 0);
  try {
    const missing = await missingRequirements(repository, config, files);
    const bare: Sandbox = { ...sandbox, changes: { kind: "none" }, devices: false };
    const galaxy = {
      ...sandbox,
      run: (argv: Argv, given: RunOptions) => runInSandbox(bare, { at: "host", argv }, given),
    };
    const fetched = await installRequirements(missing, join(work, "galaxy"), galaxy, { ...masked, env });
    for (const { kind, name, version } of fetched) masked.onLine(`fetched the ${kind} ${name} ${version}`, "stdout");
    const given = secretFiles(secrets.values, work);
    const argv = [
      ...[
        ...program(packedModules, files, fetched),
        ...(await inventories(play, work)),
        ...(await extraVars(play, work)),
        ...given.argv,
      ],
      ...[...parsePassthrough(play.passthrough ?? ""), join(repository, play.playbook)],
    ] as [string, ...string[]];
    const secluded: Sandbox = secrets.values.size > 0 ? { ...sandbox, secrets: given.files } : sandbox;
    await watched(play, repository, masked, (watching) =>
      runInSandbox(secluded, { at: "host", argv }, { name: "ansible-playbook", ...watching, env }),
    );
    if (sandbox.changes.kind === "keep") await refuseSecretsIn(sandbox.changes.upper, secrets);
    return { fetched };
  } catch (error) {
    throw secrets.values.size > 0 ? maskedError(error, secrets) : error;
  }
}

const withPackedModules = fileURLToPath(new URL("../inside/playbook.py", import.meta.url));

/** Where a play may find modules, or parts of modules, that bear the names of Ansible's own; a link is listed as a file. */
const ownModules = /(^|\/)(library|module_utils)(\/|$)/;

function program(packedModules: string | undefined, files: readonly string[], fetched: readonly Fetched[]): string[] {
  const hasOwn = fetched.length > 0 || files.some((file) => ownModules.test(file));
  return packedModules === undefined || hasOwn
    ? ["ansible-playbook"]
    : ["/usr/bin/python3", withPackedModules, packedModules];
}

export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

async function watched(
  play: Play,
  repository: string,
  options: StreamedRun,
  runIt: (options: StreamedRun) => Promise<unknown>,
): Promise<void> {
  const failure = watchForFailure(repository);
  try {
    await runIt({
      ...options,
      onLine: (line, stream) => {
        failure.see(line);
        options.onLine(line, stream);
      },
    });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    const told = failure.told();
    throw new NetkilnError("work_failed", `the playbook ${play.playbook} failed`, {
      output: told.length > 0 ? told : error.output.slice(-20),
      hint: play.place,
      detail: error,
    });
  }
}

async function inventories({ groups, inventory }: Play, work: string): Promise<string[]> {
  const host = join(work, "inventory.ini");
  await writeFile(host, inventoryText(groups));
  if (inventory === undefined) return ["-i", host];
  const more = join(work, "inventory");
  await mkdir(more);
  await inventory(more);
  return ["-i", host, "-i", more];
}

async function extraVars({ extraVars: values }: Play, work: string): Promise<string[]> {
  if (values === undefined) return [];
  const file = join(work, "extra-vars.json");
  await writeFile(file, JSON.stringify(values));
  return ["-e", `@${file}`];
}

/** The files of a sandbox's folder `secrets`, and the arguments by which Ansible finds them. */
function secretFiles(values: ReadonlyMap<string, string>, work: string) {
  const folder = join(work, "secrets");
  const files: Record<string, string> = {};
  const argv: string[] = [];
  const variables: Record<string, string> = {};
  for (const [name, value] of values) {
    const [, id] = /^vault:([A-Za-z0-9_.-]+)$/.exec(name) ?? [];
    if (id !== undefined) {
      files[`vault-${id}`] = value;
      argv.push("--vault-id", `${id}@${join(folder, `vault-${id}`)}`);
    } else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      variables[name] = value;
    } else {
      throw new NetkilnError("invalid_input", `the secret ${name} is neither a variable's name nor vault:ID`);
    }
  }
  if (Object.keys(variables).length > 0) {
    files["variables.json"] = JSON.stringify(variables);
    argv.push("-e", `@${join(folder, "variables.json")}`);
  }
  return { files, argv };
}

/** CFS marks hosts that are images with the group cfs_image and the variable cray_cfs_image; plays test for both. */
function inventoryText(groups: readonly string[]): string {
  const host = [
    inventoryName,
    "ansible_connection=community.general.chroot",
    `ansible_host=${treeMountPoint}`,
    "ansible_python_interpreter=/usr/bin/python3",
    "ansible_remote_tmp=/tmp/.ansible",
    "cray_cfs_image=true",
  ].join(" ");
  const sections = [...groups, "cfs_image"].map((group) => `\n[${group}]\n${inventoryName}\n`);
  return `${host}\n${sections.join("")}`;
}

function environment(
  work: string,
  repository: string,
  config: AnsibleConfig,
  epoch: number,
  hasSecrets: boolean,
): Record<string, string> {
  return {
    ...ansibleEnvironment(work, repository, config),
    // Rendered templates and decrypted files pass through here.
    ...(hasSecrets && { ANSIBLE_LOCAL_TEMP: join(work, "secrets", "tmp") }),
    ANSIBLE_CONFIG: join(repository, "ansible.cfg"),
    // Of one run nothing is left on this host, whatever ansible.cfg says, not even the facts of the tree.
    ANSIBLE_CACHE_PLUGIN: "memory",
    SOURCE_DATE_EPOCH: String(epoch),
    DEBIAN_FRONTEND: "noninteractive",
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONHASHSEED: "0",
  };
}

/** What every run of Ansible here has: its own files below `work`, and output that can be read line by line. */
export function ansibleEnvironment(work: string, repository: string, config: AnsibleConfig): Record<string, string> {
  const home = join(work, "ansible");
  const search = (kind: "roles" | "collections") =>
    [...config[kind].map((folder) => join(repository, folder)), join(work, "galaxy", kind)].join(":");
  return {
    HOME: home,
    ANSIBLE_HOME: home,
    ANSIBLE_LOCAL_TEMP: join(home, "tmp"),
    ANSIBLE_ROLES_PATH: search("roles"),
    ANSIBLE_COLLECTIONS_PATH: `${search("collections")}:/usr/share/ansible/collections`,
    ANSIBLE_LOG_PATH: "/dev/null",
    ANSIBLE_RETRY_FILES_ENABLED: "false",
    ANSIBLE_NOCOWS: "1",
    ANSIBLE_PIPELINING: "true",
    ANSIBLE_NOCOLOR: "1",
    // What is looked for in the output has no colours in it, whatever ansible.cfg says.
    ANSIBLE_FORCE_COLOR: "false",
    ANSIBLE_DEPRECATION_WARNINGS: "false",
    ANSIBLE_LOCALHOST_WARNING: "false",
  };
}

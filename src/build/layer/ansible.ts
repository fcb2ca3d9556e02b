import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GitStore, Layer, PinnedRepository } from "../../configuration/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";

/** The same in every build, so that a template with inventory_hostname gives the same bytes. */
const inventoryName = "node";

export interface AnsibleLayer {
  readonly layer: Layer;
  readonly groups: readonly string[];
  readonly inventory: PinnedRepository | undefined;
}

/**
 * Runs one playbook, at its commit, against the tree of the sandbox.
 * The play runs on this host and reaches the tree by Ansible's chroot connection.
 */
export async function applyAnsibleLayer(
  { layer, groups, inventory }: AnsibleLayer,
  epoch: number,
  git: GitStore,
  sandbox: Sandbox,
  options: RunOptions & { onLine: NonNullable<RunOptions["onLine"]> },
): Promise<void> {
  const repository = join(sandbox.work, "repository");
  await mkdir(repository);
  await git.export(layer.url, layer.commit, repository);
  const host = join(sandbox.work, "inventory.ini");
  await writeFile(host, inventoryText(groups));
  const inventories = ["-i", host];
  if (inventory !== undefined) {
    const more = join(sandbox.work, "inventory");
    await mkdir(more);
    await git.export(inventory.url, inventory.commit, more);
    inventories.push("-i", more);
  }
  const failure = watchForFailure(repository);
  try {
    await runInSandbox(
      sandbox,
      { at: "host", argv: ["ansible-playbook", ...inventories, join(repository, layer.playbook)] },
      {
        ...options,
        onLine: (line, stream) => {
          failure.see(line);
          options.onLine(line, stream);
        },
        env: environment(sandbox.work, repository, epoch),
      },
    );
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    const told = failure.told();
    throw new NetkilnError("work_failed", `the playbook ${layer.playbook} failed`, {
      output: told.length > 0 ? told : error.output.slice(-20),
      hint: `it is at commit ${layer.commit.slice(0, 12)} of ${layer.url}`,
      detail: error,
    });
  }
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

function environment(work: string, repository: string, epoch: number): Record<string, string> {
  const home = join(work, "ansible");
  return {
    HOME: home,
    ANSIBLE_HOME: home,
    ANSIBLE_LOCAL_TEMP: join(home, "tmp"),
    ANSIBLE_CONFIG: join(repository, "ansible.cfg"),
    ANSIBLE_ROLES_PATH: join(repository, "roles"),
    ANSIBLE_RETRY_FILES_ENABLED: "false",
    ANSIBLE_NOCOWS: "1",
    ANSIBLE_PIPELINING: "true",
    ANSIBLE_NOCOLOR: "1",
    ANSIBLE_DEPRECATION_WARNINGS: "false",
    ANSIBLE_LOCALHOST_WARNING: "false",
    SOURCE_DATE_EPOCH: String(epoch),
    DEBIAN_FRONTEND: "noninteractive",
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONHASHSEED: "0",
    PYTHONUNBUFFERED: "1",
  };
}

/** More would bury the error's own line, and the log has all of it. */
const toldLines = 30;

/**
 * Picks the failing task and its message, or what is wrong with the playbook itself, out of the play's output
 * (Ansible's default callback). Paths are told as they are in the repository.
 */
export function watchForFailure(repository: string) {
  let task = "";
  let failed: string[] = [];
  let inError = false;
  return {
    see: (line: string) => {
      const heading = /^(?:TASK|RUNNING HANDLER) \[(.*?)\] \**$/.exec(line);
      if (heading) task = heading[1] ?? "";
      if (/^(?:PLAY|TASK|RUNNING HANDLER) /.test(line)) inError = false;
      if (inError) failed.push(line);
      const fatal = /^(?:fatal|failed): \[[^\]]*\](?:: (\w+)!)?.*? => (.*)$/.exec(line);
      if (fatal) failed = [`task "${task}" failed: ${messageOf(fatal[2] ?? "")}`];
      // The play goes on after an ignored failure, so it was not this one.
      if (line.startsWith("...ignoring")) failed = [];
      const error = /^ERROR! (.*)$/.exec(line);
      if (error) {
        failed = [error[1] ?? line];
        inError = true;
      }
    },
    told: () =>
      failed
        .flatMap((text) => text.split("\n"))
        .filter((line) => line.trim() !== "")
        .slice(0, toldLines)
        .map((line) => line.replaceAll(`${repository}/`, "").replaceAll(repository, ".")),
  };
}

function messageOf(json: string): string {
  try {
    const result = JSON.parse(json) as { msg?: unknown; stderr?: unknown; stdout?: unknown };
    const parts = [result.msg, result.stderr, result.stdout].filter((part) => typeof part === "string" && part !== "");
    return parts.length > 0 ? parts.join("\n") : json;
  } catch {
    return json;
  }
}

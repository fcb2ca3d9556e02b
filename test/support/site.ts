/** A site as an operator has one, as small as it can be: a recipe without a kernel, playbooks in git, a bootprep file. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "./server.ts";

const run = promisify(execFile);

export interface Site {
  /** Holds recipe/, ansible/ (a git repository) and bootprep.yaml. */
  readonly folder: string;
  /** Writes a file, named relative to the folder. */
  write(path: string, text: string, mode?: number): Promise<void>;
  remove(path: string): Promise<void>;
  /** Writes files of the repository and commits everything that has changed in it; returns the commit. */
  commit(files?: Readonly<Record<string, string>>): Promise<string>;
  git(...args: string[]): Promise<string>;
  /** Makes the folder go away. */
  clear(): Promise<void>;
}

export const recipe = `name: tiny
distribution: debian
suite: bookworm
packages: [python3, libcap2-bin]
exclude: [/usr/share/doc/*, /usr/share/man/*, /usr/share/locale/*, /usr/share/info/*]
files: files
checks: [checks/tiny.yaml]
epoch: 1750000000
`;

const recipeFiles: Readonly<Record<string, string>> = {
  "recipe.yaml": recipe,
  "files/etc/motd": "tiny\n",
  "checks/tiny.yaml": `package:
  python3: {installed: true}
file:
  /etc/motd: {exists: true, contents: [tiny]}
command:
  python:
    exec: python3 --version
    exit-status: 0
    stdout: ['/^Python 3/']
`,
};

const firstPlaybook = `- hosts: Compute
  gather_facts: false
  tasks:
    - name: A greeting
      ansible.builtin.copy:
        content: "first\\n"
        dest: /etc/greeting
        mode: "0640"
`;

export const bootprep = `schema_version: 1.0.9
configurations:
  - name: node-config
    layers:
      - {name: first, playbook: first.yml, git: {url: ansible, branch: main}}
images:
  - name: node
    base: {ims: {type: recipe, name: tiny}}
    configuration: node-config
    configuration_group_names: [Compute]
`;

export async function makeSite(): Promise<Site> {
  const folder = await makeFolder();
  const repository = join(folder, "ansible");
  const write = async (path: string, text: string, mode = 0o644) => {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, mode);
  };
  const git = async (...args: string[]) =>
    (await run("git", ["-C", repository, ...args], { env: gitEnvironment })).stdout;
  const commit = async (files: Readonly<Record<string, string>> = {}) => {
    for (const [path, text] of Object.entries(files)) await write(`ansible/${path}`, text);
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", "--message", "change");
    return (await git("rev-parse", "HEAD")).trim();
  };

  for (const [path, text] of Object.entries(recipeFiles)) await write(`recipe/${path}`, text);
  await write("bootprep.yaml", bootprep);
  await mkdir(repository);
  await git("init", "--quiet", "--initial-branch", "main");
  await commit({ "first.yml": firstPlaybook });
  return {
    folder,
    write,
    remove: (path) => rm(join(folder, path), { recursive: true }),
    commit,
    git,
    clear: () => rm(folder, { recursive: true }),
  };
}

const gitEnvironment = {
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "tester",
  GIT_AUTHOR_EMAIL: "tester@example.org",
  GIT_COMMITTER_NAME: "tester",
  GIT_COMMITTER_EMAIL: "tester@example.org",
};

/** Runs a program of this machine and returns what it printed; a failure shows what it said. */
export async function tool(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(program, args, { maxBuffer: 1 << 26 }).catch((error: Error & { stderr?: string }) =>
    assert.fail(`${program} ${args.join(" ")}: ${error.message}\n${error.stderr ?? ""}`),
  );
  return stdout;
}

/** The example site in a folder of the bench, and a netkiln that builds it. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Image } from "../src/image/index.ts";

export const project = fileURLToPath(new URL("..", import.meta.url));
const netkiln = join(project, "bin/netkiln");

/** The squashfs level of all, which mksquashfs would otherwise leave at its slow default. */
export const squashfsLevel = "1";

/** Values that Slurm takes beside the example's own: the gate would refuse others. */
export const debugLevels = ["verbose", "debug", "debug2", "debug3", "debug4", "debug5", "error", "fatal", "quiet"];

/** Does something in a folder that is gone afterwards. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync("/var/tmp/nk-bench-");
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies the example, with its playbooks in a repository. */
export function makeSite(folder: string): string {
  cpSync(join(project, "examples/compute"), folder, { recursive: true });
  git(folder, "init", "--quiet", "--initial-branch", "main");
  commit(folder, "first");
  return folder;
}

/** Changes the one line in the last playbook. */
export function changeLastPlaybook(site: string, level: string): void {
  const file = join(site, "ansible/slurm.yml");
  const text = readFileSync(file, "utf8");
  const changed = text.replace(/slurm_debug: \S+/, `slurm_debug: ${level}`);
  if (changed === text) throw new Error(`${file} says ${level} already`);
  writeFileSync(file, changed);
  commit(site, level);
}

/** An image for each branch of the site's repository, on the base that they share. */
export function bootprepFor(branches: readonly string[]): string {
  const layers = (branch: string) =>
    ["base", "compute", "slurm"].map(
      (name) => `      - {name: ${name}, playbook: ${name}.yml, git: {url: ansible, branch: ${branch}}}`,
    );
  const configurations = branches.flatMap((branch) => [
    `  - name: compute-${branch}`,
    "    layers:",
    ...layers(branch),
  ]);
  const bases = branches.flatMap((branch) => [
    `  - name: compute-${branch}`,
    "    base: {ims: {type: recipe, name: compute-debian12}}",
    `    configuration: compute-${branch}`,
    "    configuration_group_names: [Compute]",
  ]);
  return ["schema_version: 1.0.9", "configurations:", ...configurations, "images:", ...bases, ""].join("\n");
}

export function commit(site: string, message: string): void {
  git(site, "add", "--all");
  git(site, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--message", message);
}

export function git(folder: string, ...args: string[]): void {
  execFileSync("git", ["-C", folder, ...args], { stdio: ["ignore", "ignore", "inherit"] });
}

/** A server with its worker in an empty data folder. */
export interface Netkiln {
  readonly data: string;
  /** Runs a command to its end, and shows what it prints. */
  run(...args: string[]): void;
  /** The newest image of that name. */
  image(name: string): Image;
  stop(): Promise<void>;
}

export async function startNetkiln(data: string): Promise<Netkiln> {
  const config = `${data}.yaml`;
  writeFileSync(config, `squashfs_level: ${squashfsLevel}\n`);
  const env = { ...process.env, NETKILN_DATA: data, NETKILN_CONFIG: config };
  const server = spawn(netkiln, ["serve", "--node-door", "127.0.0.1:0"], { stdio: "ignore", env });
  const stop = () => stopServer(server);
  try {
    await untilAnswers(env);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    data,
    run: (...args) => void execFileSync(netkiln, args, { env, stdio: ["ignore", "inherit", "inherit"] }),
    image: (name) => {
      const text = execFileSync(netkiln, ["images", "describe", name, "--json"], { env, encoding: "utf8" });
      return JSON.parse(text) as Image;
    },
    stop,
  };
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  server.kill("SIGTERM");
  await new Promise((resolve) => server.once("exit", resolve));
}

async function untilAnswers(env: NodeJS.ProcessEnv): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      execFileSync(netkiln, ["recipes", "list"], { env, stdio: "ignore" });
      return;
    } catch {
      await sleep(200);
    }
  }
  throw new Error("the server does not answer");
}

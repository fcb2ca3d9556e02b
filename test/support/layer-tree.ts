/** One small Debian tree with Python, dnf and zypper, and layers that are made on it in real sandboxes; needs root. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openFileBlobs } from "../../src/artifact/index.ts";
import { hostAptOptions, hostAptSources } from "../../src/build/base/apt-sources.ts";
import { applyAnsibleLayer, type AnsibleLayer } from "../../src/build/layer/ansible.ts";
import { normalise } from "../../src/build/normalise.ts";
import { writeScaffold, type Sandbox, type Scaffold } from "../../src/build/sandbox/sandbox.ts";
import { digestLayer } from "../../src/build/tree/archive.ts";
import { openStack } from "../../src/build/tree/stack.ts";
import { pruneUnchanged } from "../../src/build/tree/prune.ts";
import { openGitStore } from "../../src/configuration/index.ts";
import type { Recipe } from "../../src/image/index.ts";
import { run } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";
import { madeOnce } from "./prepared.ts";

export const epoch = 1_750_000_000;
const suite = "bookworm";

export interface Made {
  readonly upper: string;
  readonly sandbox: Sandbox;
  readonly file: (path: string) => Promise<string>;
}

/** What is common to tests of layers; everything stands in `root`, and the tree is changed by nobody. */
export async function openLayerTree() {
  const root = await mkdtemp(join(tmpdir(), "netkiln-layers-"));
  const sources = { aptSources: await hostAptSources(suite, ["main"]), aptOptions: await hostAptOptions() };
  const make = (folder: string) => makeTree(folder, root, sources);
  const [shared, own] = [await madeOnce("layer-tree", make), join(root, "tree")];
  if (shared === undefined) await make(own);
  const tree = shared ?? own;
  const log: string[] = [];
  const options = { onLine: (line: string) => void log.push(line) };

  /** A new layer on the tree; `more` are layers on top of it, with files of these texts. */
  async function layer(
    scaffold: Partial<Scaffold> | ((bare: Sandbox) => Promise<Partial<Scaffold>>),
    { network = false, more = {} }: { network?: boolean; more?: Readonly<Record<string, string>> } = {},
  ): Promise<Made> {
    const work = await mkdtemp(join(root, "work-"));
    const [upper, above, scaffolding] = [join(work, "upper"), join(work, "above"), join(work, "scaffold")];
    await mkdir(upper, { mode: 0o755 });
    await mkdir(above, { mode: 0o755 });
    await put(above, more);
    await normalise(above, epoch, false);
    const lower = [above, tree];
    const bare: Sandbox = {
      ...{ layers: root, lower, changes: { kind: "keep", upper }, work, devices: true, network },
    };
    const parts = typeof scaffold === "function" ? await scaffold(bare) : scaffold;
    const resolvConf = network ? await readFile("/etc/resolv.conf", "utf8") : undefined;
    await writeScaffold(scaffolding, { aptSources: [], aptOptions: [], resolvConf, ...parts }, openStack(lower));
    log.length = 0;
    return {
      upper,
      sandbox: { ...bare, lower: [scaffolding, ...lower] },
      file: (path) => readFile(join(upper, path), "utf8"),
    };
  }

  async function finish({ upper, sandbox }: Made): Promise<string> {
    await normalise(upper, epoch, false);
    await pruneUnchanged(upper, sandbox.lower.slice(1));
    return (await digestLayer(upper, sandbox.lower.slice(1))).diffId;
  }

  async function put(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }

  async function repository(files: Readonly<Record<string, string>>): Promise<{ url: string; commit: string }> {
    const url = await mkdtemp(join(root, "git-"));
    await put(url, files);
    const git = (...args: string[]) => run(["git", "-C", url, ...args], { env: { HOME: root } });
    await git("init", "-q", "-b", "main");
    await git("add", "-A");
    await git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "x");
    return { url, commit: (await git("rev-parse", "HEAD")).stdout.trim() };
  }

  async function recipe(files: Readonly<Record<string, string>>): Promise<Recipe> {
    const entries = [];
    for (const [path, text] of Object.entries(files)) {
      await blobs().putBytes(text);
      entries.push({ path, executable: false, sha256: sha256(text) });
    }
    const spec = { name: "site" } as Recipe["spec"];
    return { id: "1", name: "site", digest: "x", created: "", spec, files: entries };
  }
  const blobs = () => openFileBlobs(join(root, "blobs"));
  const git = () => openGitStore(join(root, "cache"));
  const ansible = (step: Omit<AnsibleLayer, "inventory"> & { inventory?: AnsibleLayer["inventory"] }, made: Made) =>
    applyAnsibleLayer({ inventory: undefined, ...step }, epoch, git(), made.sandbox, options);
  const close = () => rm(root, { recursive: true, force: true });
  return { root, sources, log, options, layer, finish, put, repository, recipe, blobs, ansible, close };
}

async function makeTree(
  tree: string,
  root: string,
  sources: Pick<Scaffold, "aptSources" | "aptOptions">,
): Promise<void> {
  sources = { aptSources: await hostAptSources(suite, ["main"]), aptOptions: await hostAptOptions() };
  await writeFile(join(root, "sources.list"), `${sources.aptSources.join("\n")}\n`);
  await writeFile(join(root, "apt.conf"), `${sources.aptOptions.join("\n")}\n`);
  const paths = ["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  await run([
    ...(["nice", "mmdebstrap", "--mode=root", "--variant=minbase", "--include=python3,dnf,zypper"] as const),
    ...[`--aptopt=${join(root, "apt.conf")}`, "--dpkgopt=force-unsafe-io", ...paths],
    ...[suite, tree, join(root, "sources.list")],
  ]);
  for (const name of await readdir(join(tree, "etc/apt/sources.list.d"))) {
    await rm(join(tree, "etc/apt/sources.list.d", name));
  }
  await rm(join(tree, "etc/apt/sources.list"), { force: true });
  await normalise(tree, epoch, true);
}

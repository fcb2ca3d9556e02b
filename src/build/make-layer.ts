import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PackageSource } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { aptSources, hostAptOptions } from "./base/apt-sources.ts";
import { baseOf } from "./base/index.ts";
import { lockText } from "./base/lock.ts";
import { rpmScaffold } from "./base/rpm-scaffold.ts";
import type { BaseWorld, Lock } from "./base/types.ts";
import { applyAnsibleLayer, applyRecipePlaybook } from "./layer/ansible.ts";
import { overlayFiles, stageRecipeFiles } from "./layer/files.ts";
import { layOver } from "./layer/lay-over.ts";
import { downloadedPackages, keepDownloads, offerPackages } from "./layer/package-cache.ts";
import { applyPackagesLayer } from "./layer/packages.ts";
import { stageRelease } from "./layer/release.ts";
import { applyScriptLayer } from "./layer/script.ts";
import { writeScaffold, type Sandbox, type Scaffold } from "./sandbox/sandbox.ts";
import type { LayerStep, PlannedTreeStep, TreeStep } from "./types.ts";
import { stackOf } from "./view-tree.ts";
import { sandboxOf, streamedRun, type BuildContext, type Tree, type Work } from "./work.ts";

/** A layer in the making. */
export interface Making {
  readonly step: LayerStep;
  readonly planned: PlannedTreeStep;
  readonly key: string;
  readonly below: Tree;
  /** The overlayfs upper directory that takes the changes. */
  readonly upper: string;
  /** The step's own folder, gone afterwards. */
  readonly folder: string;
}

/** Does what a step does to its tree; returns the lock of what it made package managers download, if anything. */
export async function makeLayer(making: Making, work: Work): Promise<string | undefined> {
  const { step, planned, key, below, upper, folder } = making;
  const { context } = work;
  const epoch = Number(planned.inputs["epoch"]);
  const options = streamedRun(work);
  const sandbox = { ...sandboxOf(below.layers, folder, context), changes: { kind: "keep", upper } as const };
  const tree = stackOf(below.layers, context);
  switch (step.kind) {
    case "base": {
      const base = baseOf(step.recipe, context.settings);
      const lock = await readLock(planned.inputs["lock"] ?? "", work);
      await base?.make(lock, upper, baseWorld(step, folder, work));
      return undefined;
    }
    case "files": {
      const files = overlayFiles(step.recipe, step.folder);
      await layOver((staging) => stageRecipeFiles(files, context.blobs, staging), sandbox, tree, options);
      return undefined;
    }
    case "release": {
      const release = { name: step.name, buildId: buildIdOf(key), commits: step.commits, epoch };
      await layOver((staging) => stageRelease(release, staging), sandbox, tree, options);
      return undefined;
    }
    default:
      return onScaffold(making, sandbox, work, (scaffolded) => changeTree(step, epoch, scaffolded, work));
  }
}

/** What nodes report: it names the tree below the release step, and all that this one writes. */
export function buildIdOf(releaseKey: string): string {
  return releaseKey.slice(0, 32);
}

type ChangeStep = Exclude<LayerStep, { readonly kind: "base" | "files" | "release" }>;

async function changeTree(step: ChangeStep, epoch: number, sandbox: Sandbox, work: Work): Promise<void> {
  const { git, blobs, packedModules } = work.context;
  const options = streamedRun(work);
  switch (step.kind) {
    case "packages":
      return applyPackagesLayer(step.packages, epoch, sandbox, options);
    case "script": {
      const { recipe, layer, stamp } = step;
      return applyScriptLayer(
        { recipe, script: layer.script, network: stamp !== undefined },
        epoch,
        blobs,
        sandbox,
        options,
      );
    }
    case "ansible":
      await applyAnsibleLayer({ ...step, ...step.options }, epoch, git, sandbox, { ...options, packedModules });
      return;
    case "playbook":
      await applyRecipePlaybook({ ...step, ...step.options }, epoch, blobs, sandbox, { ...options, packedModules });
      return;
  }
}

/**
 * Changes the tree with what a build lends it on top: sources of packages, name servers, and no daemons. What package
 * managers download is kept, so that the layer can be made again from exactly that.
 */
async function onScaffold(
  { step, planned, below, folder }: Making,
  sandbox: Sandbox,
  work: Work,
  change: (sandbox: Sandbox) => Promise<void>,
): Promise<string | undefined> {
  const { context } = work;
  const options = streamedRun(work);
  const buildsKernelModules = step.kind === "ansible" && step.layer.specialParameters?.imsRequireDkms === true;
  const scaffold = { ...(await scaffoldFor(work.plan.inherited.packageSource, context)), buildsKernelModules };
  const recorded = await context.steps.lock(planned.slot);
  const sources =
    recorded === undefined ? {} : await offerPackages(await filesOf(recorded.digest, work), sandbox, options);
  const lent = join(folder, "scaffold");
  await writeScaffold(lent, await keepDownloads({ ...scaffold, ...sources }, sandbox), stackOf(below.layers, context));
  await change({ ...sandbox, lower: [lent, ...sandbox.lower], devices: true, network: true });
  return keepDownloaded(sandbox, work);
}

async function filesOf(digest: string, work: Pick<Work, "context">) {
  const { packages } = await readLock(digest, work);
  return packages.map((entry) => ({ ...entry, file: work.context.blobs.path(entry.sha256) }));
}

async function keepDownloaded(sandbox: Sandbox, work: Work): Promise<string | undefined> {
  const { blobs } = work.context;
  const found = await downloadedPackages(sandbox, streamedRun(work));
  if (found.length === 0) return undefined;
  for (const { file } of found) await blobs.putFile(file);
  const family = found.every(({ file }) => file.endsWith(".deb")) ? "deb" : "rpm";
  const packages = found.map(({ file: _file, ...entry }) => entry);
  return (await blobs.putBytes(lockText({ family, packages, files: {} }))).sha256;
}

/** What a build lends a tree whose packages come from there. */
export async function scaffoldFor(
  source: PackageSource | undefined,
  context: Pick<BuildContext, "settings" | "blobs">,
): Promise<Scaffold> {
  const { aptSources: configured } = context.settings;
  const rpm =
    source === undefined || "suite" in source ? [] : rpmScaffold(source, await keyTexts(source.keys, context));
  return {
    aptSources: source !== undefined && "suite" in source ? await aptSources(source, configured) : [],
    aptOptions: await hostAptOptions(),
    resolvConf: await readFile("/etc/resolv.conf", "utf8").catch(() => undefined),
    files: rpm.slice(0, -1),
    ...(rpm.length > 0 && { rpmRepositories: rpm.at(-1)?.[1] ?? "" }),
  };
}

async function keyTexts(keys: Readonly<Record<string, string>>, { blobs }: Pick<BuildContext, "blobs">) {
  const texts = new Map<string, string>();
  for (const [path, digest] of Object.entries(keys)) texts.set(path, await readFile(blobs.path(digest), "utf8"));
  return texts;
}

export async function readLock(digest: string, { context }: Pick<Work, "context">): Promise<Lock> {
  return JSON.parse(await readFile(context.blobs.path(digest), "utf8")) as Lock;
}

export function baseWorld(
  { recipe }: TreeStep & { kind: "lock" | "base" },
  folder: string,
  work: Pick<Work, "context" | "journal" | "signal">,
): BaseWorld {
  const { blobs, settings } = work.context;
  return {
    blobs,
    aptSources: settings.aptSources,
    folder,
    recipeFile: (path) => {
      const file = recipe.files.find((entry) => entry.path === path);
      if (file !== undefined) return blobs.path(file.sha256);
      throw new NetkilnError("invalid_input", `the recipe ${recipe.name} holds no file ${path}`);
    },
    run: { signal: work.signal, onLine: (line) => work.journal.line(line) },
  };
}

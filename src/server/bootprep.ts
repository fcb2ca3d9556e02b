import {
  advance,
  type BootSets,
  type Plan,
  type PlannedConfiguration,
  type PlannedImage,
  type PlanPorts,
  type Run,
  type RunPorts,
} from "../bootprep/index.ts";
import { foundationOf, planBuild, startBuild, type BuildPlan, type ImageRequest } from "../build/index.ts";
import { parseAllChecks } from "../compliance/index.ts";
import type { GitFile } from "../configuration/index.ts";
import { s3Path, type Image } from "../image/index.ts";
import type { ConfigurationContent } from "../configuration/index.ts";
import { NetkilnError, toErrorRecord } from "../lib/errors.ts";
import { clock } from "../lib/clock.ts";
import { canonicalJson } from "../lib/files.ts";
import { log } from "../lib/log.ts";
import { parseTemplate, type SessionTemplate } from "../orchestration/index.ts";
import { deleteReplaced } from "./lifecycle/index.ts";
import type { House } from "./open.ts";

/** What the bootprep room asks of the others to make a plan. */
export function planPorts(house: House): PlanPorts {
  const named = (query: { name: string } | { id: string }) => ("name" in query ? query.name : query.id);
  return {
    findRecipes: async (query) => {
      const recipe = await house.images.findRecipe(named(query));
      return recipe === undefined ? [] : [{ id: recipe.id, name: recipe.name, arch: recipe.spec.arch }];
    },
    // A name means its newest image, here as everywhere.
    findImages: async (query) => {
      const image = await house.images.findImage(named(query));
      return image === undefined ? [] : [{ id: image.id, name: image.name, arch: image.arch }];
    },
    findConfiguration: async (name) => {
      const found = await house.configurations.find(name);
      if (found === undefined) return undefined;
      const { layers, additionalInventory } = found;
      return {
        name,
        layers: layers.map((layer) => ({ ...layer, specialParameters: layer.specialParameters ?? {} })),
        ...(additionalInventory !== undefined && { additionalInventory }),
      };
    },
    findTemplate: async (name) => {
      const template = await house.sessions.getTemplate(name);
      return template && existingTemplate(template);
    },
    resolveCommit: async (url, reference, playbook) => {
      const commit = await house.git.resolve(url, reference);
      if (playbook !== undefined) {
        const files = await house.git.files(url, commit);
        if (!files.some((file) => file.path === playbook)) {
          throw new NetkilnError(
            "not_found",
            `the playbook ${playbook} does not exist at ${commit.slice(0, 12)} of ${url}`,
            { hint: playbookHint(playbook, files, await house.git.uncommitted(url)) },
          );
        }
      }
      return { url, commit, ...("branch" in reference && { branch: reference.branch }) };
    },
  };
}

const namedPlaybooks = 8;

/** The usual reasons for a missing playbook: it was not committed, or it is called otherwise. */
function playbookHint(playbook: string, files: readonly GitFile[], uncommitted: readonly string[]): string {
  if (uncommitted.some((path) => path === playbook || path.endsWith(`/${playbook}`))) return "it is not committed yet";
  const playbooks = files.map(({ path }) => path).filter((path) => /^[^/]+\.ya?ml$/.test(path));
  if (playbooks.length === 0) return "there is no playbook at the top of the repository";
  return `at its top are: ${playbooks.slice(0, namedPlaybooks).join(", ")}${playbooks.length > namedPlaybooks ? ", ..." : ""}`;
}

function existingTemplate({ name, cfs, boot_sets }: SessionTemplate) {
  const [first] = Object.values(boot_sets);
  const imageId = /^s3:\/\/boot-images\/([^/]+)\//.exec(first?.path ?? "")?.[1];
  const bootSets = Object.fromEntries(
    Object.entries(boot_sets).map(([set, { type: _type, path: _path, etag: _etag, cfs: _cfs, ...rest }]) => [
      set,
      withoutDefaults(rest),
    ]),
  ) as BootSets;
  return { name, configuration: cfs.configuration ?? "", bootSets, ...(imageId !== undefined && { imageId }) };
}

/** Leaves out what a file does not say: empty texts and lists, and the default architecture. */
function withoutDefaults(set: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(set).filter(([, value]) => value !== "" && !(Array.isArray(value) && value.length === 0)),
  );
}

/** What a run of a plan does with the other rooms. */
export function runPorts(house: House): RunPorts {
  return {
    putConfiguration: async (configuration) => {
      await house.configurations.put(configuration.name, contentOf(configuration));
    },
    startImage: async (image, plan) => {
      const started = await startBuild(await toRequest(image, plan, house), house);
      return started.kind === "image"
        ? { kind: "image", image: started.image.id }
        : { kind: "build", build: started.build.id };
    },
    outcomeOf: async (id) => {
      const build = await house.builds.find(id);
      if (build === undefined) throw new NetkilnError("not_found", `the build ${id} is gone`);
      if (build.error !== undefined) return { kind: "failed", error: build.error };
      return build.imageId === undefined ? { kind: "running" } : { kind: "image", image: build.imageId };
    },
    putTemplate: async (template, imageId) => {
      const image = await house.images.findImage(imageId);
      if (image === undefined) throw new NetkilnError("not_found", `the image ${imageId} is gone`);
      const boot = { type: "s3", path: s3Path(image.id, "manifest"), etag: image.artifacts.manifest.md5 };
      const sets = Object.entries(template.bootSets).map(([name, set]) => [name, { ...set, ...boot }]);
      const wanted = parseTemplate({
        name: template.name,
        enable_cfs: true,
        cfs: { configuration: template.configuration },
        boot_sets: Object.fromEntries(sets),
      });
      const changed = canonicalJson(wanted) !== canonicalJson(await house.sessions.getTemplate(template.name));
      if (changed) await house.sessions.putTemplate(wanted);
      return { changed };
    },
    deleteImage: (id) => deleteReplaced(house, id, "bootprep"),
  };
}

/** The steps of every image that a plan builds, by the image's name. Mistakes in their checks are thrown. */
export async function planImages(plan: Plan, house: House): Promise<ReadonlyMap<string, BuildPlan>> {
  const plans = new Map<string, BuildPlan>();
  for (const image of plan.images) {
    if (image.action !== "build") continue;
    const build = await planBuild(await toRequest(image, plan, house), house);
    if (build.checks.length > 0) parseAllChecks(build.checks);
    plans.set(image.name, build);
  }
  return plans;
}

/** Uncommitted files in the local repositories of a plan's layers: an operator may think that they count. */
export async function uncommittedFiles(plan: Plan, house: House): Promise<{ url: string; paths: string[] }[]> {
  const urls = new Set(plan.configurations.flatMap(({ layers }) => layers.map(({ url }) => url)));
  const found = await Promise.all([...urls].map(async (url) => ({ url, paths: await house.git.uncommitted(url) })));
  return found.filter(({ paths }) => paths.length > 0);
}

type BuiltImage = PlannedImage & { readonly action: "build" };

async function toRequest(image: BuiltImage, plan: Plan, house: House): Promise<ImageRequest> {
  const { name, base, groups, configuration } = image;
  return {
    name,
    base: await toBase(base, plan, house),
    groups,
    ...(configuration !== undefined && {
      configuration: { name: configuration, ...(await configurationOf(configuration, plan, house)) },
    }),
  };
}

async function toBase(base: BuiltImage["base"], plan: Plan, house: House): Promise<ImageRequest["base"]> {
  const gone = () => new NetkilnError("not_found", `the ${base.kind} ${base.name} is gone`);
  if (base.kind === "recipe") {
    const recipe = await house.images.findRecipe(base.id);
    if (recipe === undefined) throw gone();
    return foundationOf(recipe, house.images);
  }
  const below = base.kind === "planned" ? plan.images.find(({ name }) => name === base.name) : undefined;
  if (below?.action === "build") return { kind: "request", request: await toRequest(below, plan, house) };
  const id = base.kind === "image" ? base.id : below?.action === "skip" ? below.id : "";
  const image: Image | undefined = await house.images.findImage(id);
  if (image === undefined) throw gone();
  return { kind: "image", image };
}

async function configurationOf(name: string, plan: Plan, house: House): Promise<ConfigurationContent> {
  const planned = plan.configurations.find((configuration) => configuration.name === name);
  if (planned !== undefined && planned.action !== "skip") return contentOf(planned);
  const existing = await house.configurations.find(name);
  if (existing === undefined) throw new NetkilnError("not_found", `the configuration ${name} is gone`);
  const { layers, additionalInventory } = existing;
  return { layers, ...(additionalInventory !== undefined && { additionalInventory }) };
}

function contentOf({ layers, additionalInventory }: PlannedConfiguration): ConfigurationContent {
  return { layers, ...(additionalInventory !== undefined && { additionalInventory }) };
}

/** Takes every step of every unfinished run that can be taken now. */
export async function advanceRuns(house: House): Promise<void> {
  for (const { run, plan } of await house.runs.unfinished()) await advanceRun(run, plan, house);
}

export async function advanceRun(run: Run, plan: Plan, house: House): Promise<void> {
  const items = await advance(plan, run.items, runPorts(house)).catch((error: unknown) => {
    log.error({ run: run.id, error }, "run cannot go on");
    const record = toErrorRecord(error);
    return run.items.map((item) =>
      item.state === "waiting" || item.state === "running"
        ? { ...item, state: "failed" as const, error: record }
        : item,
    );
  });
  const changed = items.filter((item, index) => JSON.stringify(item) !== JSON.stringify(run.items[index]));
  if (changed.length === 0) return;
  await house.runs.save(run.id, items);
  for (const item of changed) await house.events.record(`run:${run.id}`, "item", { ...item });
}

const runPeriodMs = 100;

/** Carries unfinished runs on until `signal`; whatever state a crash left them in is where they go on. */
export async function carryRunsOn(house: House, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await advanceRuns(house).catch((error: unknown) => log.error({ error }, "runs cannot go on"));
    await clock.sleep(runPeriodMs, signal).catch(() => undefined);
  }
}

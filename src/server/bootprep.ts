import type { BootprepParts } from "../api/native/bootprep.ts";
import {
  advance,
  bootprepExample,
  configurationContent,
  payloadsOf,
  type BootSets,
  type ImageLink,
  type MadeTemplate,
  type Payload,
  type Plan,
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
import { clock } from "../lib/clock.ts";
import { NetkilnError, toErrorRecord } from "../lib/errors.ts";
import { watchChanges } from "../lib/db.ts";
import { canonicalJson } from "../lib/files.ts";
import { log } from "../lib/log.ts";
import { parseTemplate, type SessionTemplate } from "../orchestration/index.ts";
import { deleteReplaced } from "./lifecycle/index.ts";
import { inventoryForAll } from "./additional-inventory.ts";
import type { House } from "./open.ts";
import { findProducts, recipePorts, type Surroundings } from "./products.ts";

/** What the bootprep room asks of the others to make a plan. */
function planPorts(house: House, surroundings: Surroundings = {}): PlanPorts {
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
    products: () => findProducts(surroundings),
    findSource: async (name) => {
      const source = await house.sources.find(name);
      return source && { url: source.cloneUrl };
    },
    defaultPlaybook: async () => (await house.configurationOptions.get()).defaultPlaybook,
    resolveCommit: async (url, reference) => {
      const commit = await house.git.resolve(url, reference);
      return { url, commit, ...("branch" in reference && { branch: reference.branch }) };
    },
    requirePlaybook: async (url, commit, playbook) => {
      const files = await house.git.files(url, commit);
      if (files.some((file) => file.path === playbook)) return;
      throw new NetkilnError(
        "not_found",
        `the playbook ${playbook} does not exist at ${commit.slice(0, 12)} of ${url}`,
        { hint: playbookHint(playbook, files, await house.git.uncommitted(url)) },
      );
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
  return { name, configuration: cfs?.configuration ?? "", bootSets, ...(imageId !== undefined && { imageId }) };
}

/** Leaves out what a file does not say: empty texts and lists, and the default architecture. */
function withoutDefaults(set: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(set).filter(([, value]) => value !== "" && !(Array.isArray(value) && value.length === 0)),
  );
}

/** What a run of a plan does with the other rooms. */
function runPorts(house: House): RunPorts {
  return {
    putConfiguration: async (configuration) => {
      await house.configurations.put(configuration.name, configurationContent(configuration));
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
      const sets = Object.entries(template.bootSets).map(([name, set]) => [name, { ...set, ...linkOf(image) }]);
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

function linkOf(image: Image): ImageLink {
  return { type: "s3", path: s3Path(image.id, "manifest"), etag: image.artifacts.manifest.md5 };
}

/** What a client of CFS and BOS would send for a plan; images that are not built yet have no link. */
function planPayloads(plan: Plan, house: House): Promise<readonly Payload[]> {
  return payloadsOf(plan, ({ image }) => linkOfId(image.kind === "existing" ? image.id : undefined, house));
}

/** The same for what a run has made. */
async function runPayloads(run: Run, plan: Plan, house: House): Promise<readonly Payload[]> {
  const itemOf = (wanted: Pick<Payload, "section" | "name">) =>
    run.items.find(({ section, name }) => section === wanted.section && name === wanted.name);
  const imageOf = ({ name }: MadeTemplate) => itemOf({ section: "session_template", name })?.image;
  const payloads = await payloadsOf(plan, (template) => linkOfId(imageOf(template), house));
  return payloads.filter((payload) => ["done", "reused"].includes(itemOf(payload)?.state ?? ""));
}

async function linkOfId(id: string | undefined, house: House): Promise<ImageLink | undefined> {
  const image = id === undefined ? undefined : await house.images.findImage(id);
  return image && linkOf(image);
}

/** The steps of every image that a plan builds, by the image's name. Mistakes in their checks are thrown. */
async function planImages(plan: Plan, house: House): Promise<ReadonlyMap<string, BuildPlan>> {
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
async function uncommittedFiles(plan: Plan, house: House): Promise<{ url: string; paths: string[] }[]> {
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
  const { layers, additionalInventory = await inventoryForAll(house) } =
    planned !== undefined && planned.action !== "skip"
      ? configurationContent(planned)
      : await existingConfiguration(name, house);
  return { layers, ...(additionalInventory !== undefined && { additionalInventory }) };
}

async function existingConfiguration(name: string, house: House): Promise<ConfigurationContent> {
  const existing = await house.configurations.find(name);
  if (existing !== undefined) return existing;
  throw new NetkilnError("not_found", `the configuration ${name} is gone`);
}

/** Takes every step of every unfinished run that can be taken now; returns how many runs there were. */
export async function advanceRuns(house: House): Promise<number> {
  const runs = await house.runs.unfinished();
  for (const { run, plan } of runs) await advanceRun(run, plan, house);
  return runs.length;
}

/** Runs that are being advanced: by the request that has started one, or by the loop. */
const advancing = new Set<string>();

async function advanceRun({ id }: Pick<Run, "id">, plan: Plan, house: House): Promise<void> {
  if (advancing.has(id)) return;
  advancing.add(id);
  try {
    // As it is now: the other one may have taken a step since it was listed.
    const run = await house.runs.find(id);
    if (run !== undefined) await takeSteps(run, plan, house);
  } finally {
    advancing.delete(id);
  }
}

async function takeSteps(run: Run, plan: Plan, house: House): Promise<void> {
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

const runPeriodMs = 1000;

/** Carries unfinished runs on until `signal`; whatever state a crash left them in is where they go on. */
export async function carryRunsOn(house: House, signal: AbortSignal): Promise<void> {
  const changes = watchChanges(house.db);
  while (!signal.aborted) {
    const created = house.runs.nextCreated();
    const unfinished = await advanceRuns(house).catch((error: unknown) => log.error({ error }, "runs cannot go on"));
    // To look at every change costs something, and a server with none under way has others to serve.
    if (unfinished === 0) await clock.sleep(runPeriodMs, AbortSignal.any([signal, created])).catch(() => undefined);
    else await changes.next(runPeriodMs, signal);
  }
}

/** What the administrators' door needs to plan and run bootprep files. */
export function bootprepParts(house: House, surroundings: Surroundings = {}): BootprepParts {
  return {
    ports: planPorts(house, surroundings),
    recipe: recipePorts(house, surroundings),
    planImages: (plan) => planImages(plan, house),
    uncommitted: (plan) => uncommittedFiles(plan, house),
    startRun: async (file, plan) => {
      const run = await house.runs.create(file, plan);
      await advanceRun(run, plan, house);
      return (await house.runs.find(run.id)) ?? run;
    },
    findRun: (id) => house.runs.find(id),
    listRuns: (page) => house.runs.list(page),
    planPayloads: (plan) => planPayloads(plan, house),
    runPayloads: async (run) => {
      const plan = await house.runs.plan(run.id);
      return plan === undefined ? [] : runPayloads(run, plan, house);
    },
    example: async () => {
      const recipes = await house.images.listRecipes({ limit: 1 });
      return bootprepExample({ products: (await findProducts(surroundings)) ?? [], recipes });
    },
  };
}

import type { Root } from "../../artifact/index.ts";
import { allSteps, planBuild, type CacheRecord, type UnfinishedBuild } from "../../build/index.ts";
import type { Fate, Recipe, RetentionRules } from "../../image/index.ts";
import { clock } from "../../lib/clock.ts";
import { sql } from "../../lib/db.ts";
import type { House } from "../open.ts";
import { everyPage } from "./uses.ts";

export interface Roots {
  readonly roots: readonly Root[];
  /** False when it cannot be told what a build that is under way needs: then nothing may be removed. */
  readonly certain: boolean;
}

/** What keeps blobs and layers: these builds, images that stay, and everything else that there is. */
export async function gatherRoots(
  house: House,
  builds: readonly UnfinishedBuild[],
  fates: readonly Fate[],
  records: readonly CacheRecord[],
): Promise<Roots> {
  const byChain = Map.groupBy(records, ({ chain }) => chain);
  const resultsOf = (...chains: string[]) => chains.flatMap((chain) => byChain.get(chain) ?? []);
  const ofBuilds = await Promise.all(builds.map((build) => ofBuild(house, build, resultsOf)));
  return {
    roots: [
      ...ofBuilds.map(({ root }) => root),
      ...fates
        .filter(({ fate }) => fate !== "destroy")
        .map((kept) => ofImage(kept, resultsOf(kept.image.chain, ...kept.image.layers))),
      ...(await ofRecipes(house)),
      ...(await ofImageJobs(house)),
      ...(await ofOtherTables(house)),
    ],
    certain: ofBuilds.every(({ certain }) => certain),
  };
}

/**
 * With an image stay the results of its build that are not files of it, such as the gate's, so that it is not built
 * again, and what was worked out of its layers.
 */
function ofImage({ image, fate, because }: Fate, results: readonly CacheRecord[]): Root {
  const { id, name } = image;
  const state = "deleted" in image ? "deleted image" : "image";
  const why = fate === "delete" ? ["it is going to be deleted, and can then be brought back"] : because;
  return { id, name: `${state} ${name} (${id})`, because: why, text: JSON.stringify([image, results]) };
}

/**
 * What a build has kept and is going to use: its plan's steps, with the results that they have, and what was worked out
 * of the layers that it has so far.
 */
async function ofBuild(
  house: House,
  { id, image }: UnfinishedBuild,
  resultsOf: (...layers: string[]) => CacheRecord[],
): Promise<{ root: Root; certain: boolean }> {
  const task = await house.builds.task(id);
  const plan = task?.kind === "image" ? await planBuild(task.request, house).catch(() => undefined) : undefined;
  const steps = plan === undefined ? [] : allSteps(plan);
  const results = await Promise.all(steps.map(({ key }) => (key === undefined ? undefined : house.steps.find(key))));
  const layers = [...(plan?.baseLayers ?? []), ...results.flatMap((result) => result?.layer ?? [])];
  const text = JSON.stringify([task, plan, results, resultsOf(...layers)]);
  const root = { id, name: `build ${id} of ${image}`, because: ["it is under way"], text };
  return { root, certain: plan !== undefined || (task !== undefined && task.kind !== "image") };
}

/** The tree that somebody is in, and what they did there until a build has it. */
async function ofImageJobs({ imageJobs }: House): Promise<Root[]> {
  const open = (await imageJobs.list()).filter(({ status }) => status !== "success" && status !== "error");
  return open.map((job) => ({
    ...{ id: job.id, name: `IMS job ${job.id} for ${job.name}`, because: ["it is under way"] },
    text: JSON.stringify(job),
  }));
}

async function ofRecipes(house: House): Promise<Root[]> {
  const live = await everyPage(
    (page) => house.images.listRecipes(page),
    ({ name }) => name,
  );
  const deleted = (await deletedRecipes(house)).filter((recipe) => !isOver(recipe.deleted, house.retention));
  return [
    ...live.map((recipe) => ({ ...named(recipe), because: ["images can be built from it"] })),
    ...deleted.map((recipe) => ({ ...named(recipe), because: ["it is deleted and can be brought back"] })),
  ];
}

function named(recipe: Recipe): Pick<Root, "id" | "name" | "text"> {
  return { id: recipe.id, name: `recipe ${recipe.name} (${recipe.id})`, text: JSON.stringify(recipe) };
}

export function deletedRecipes({ images }: House) {
  return everyPage(
    (page) => images.listDeletedRecipes(page),
    ({ id }) => id,
  );
}

export function isOver(deleted: string, { deletedDays }: Pick<RetentionRules, "deletedDays">): boolean {
  return clock.now().getTime() - Date.parse(deleted) >= deletedDays * 86_400_000;
}

/**
 * Tables whose rows keep nothing: roots are made of them above, or they are records of what was (what such a record
 * names may go). Of every other table, each row keeps what it names, also when this does not know the table.
 */
const tablesThatKeepNothing: ReadonlySet<string> = new Set([
  ...["image", "recipe", "build", "step_result", "trace", "snapshot", "gc_run", "channel", "channel_move"],
  ...[
    "event",
    "job",
    "token",
    "account",
    "tenant",
    "boot",
    "boot_phase",
    "boot_of_node",
    "boot_filed",
    "bootprep_run",
    "kysely_migration",
    "kysely_migration_lock",
  ],
  ...["inventory_component", "inventory_interface", "inventory_address", "inventory_group", "inventory_member"],
  ...["inventory_reservation", "inventory_endpoint", "inventory_endpoint_part", "inventory_node_map"],
  ...["inventory_power_map", "component", "boot_session", "boot_session_failure", "boot_option", "boot_token"],
  ...["image_job", "ssh_key", "remote_build_node"],
  ...["power_transition", "power_transition_task", "power_cap_task", "power_simulated"],
  ...["boot_access", "boot_token_key", "revision"],
]);

async function ofOtherTables({ db }: House): Promise<Root[]> {
  const tables = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(db);
  const roots: Root[] = [];
  for (const { name } of tables.rows) {
    if (name.startsWith("sqlite_") || tablesThatKeepNothing.has(name)) continue;
    const { rows } = await sql`select * from ${sql.table(name)}`.execute(db);
    roots.push({ id: name, name: `table ${name}`, because: ["its rows are in use"], text: JSON.stringify(rows) });
  }
  return roots;
}

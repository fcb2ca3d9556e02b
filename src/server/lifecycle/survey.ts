import {
  addRemoved,
  emptyReport,
  mark,
  openReferences,
  sort,
  type Amount,
  type GcReport,
  type KeptThing,
  type Marks,
  type Sorted,
  type Stored,
  type StoredKind,
} from "../../artifact/index.ts";
import type { UnfinishedBuild } from "../../build/index.ts";
import { decideFates, type Fate, type Recipe } from "../../image/index.ts";
import { clock } from "../../lib/clock.ts";
import type { House } from "../open.ts";
import { openContents, type Contents } from "./contents.ts";
import { deletedRecipes, gatherRoots, isOver, type Roots } from "./roots.ts";
import { byImage, idsIn, imageUses, everyPage } from "./uses.ts";

export const kinds = ["blob", "layer", "build log"] as const satisfies readonly StoredKind[];

/** All that is stored, and what becomes of it. */
export interface Survey extends Roots {
  /** Builds that were not finished when it began. */
  readonly builds: readonly UnfinishedBuild[];
  readonly fates: readonly Fate[];
  /** Deleted recipes whose time is over. */
  readonly endedRecipes: readonly Recipe[];
  readonly marks: Marks;
  readonly contents: Contents;
  readonly sorted: Readonly<Record<StoredKind, Sorted>>;
  /** What is older than this, of each kind, can go; milliseconds since 1970. */
  readonly before: Readonly<Record<StoredKind, number>>;
  /** Ids of records of the build room that name what is condemned or gone. */
  readonly staleRecords: readonly string[];
}

/** Looks at everything and changes nothing. */
export async function survey(house: House): Promise<Survey> {
  const contents = openContents(house);
  // In this order: a build that ends meanwhile was seen, and its image is too; what a record names is there before it.
  const builds = await house.buildRecords.unfinished();
  const fates = await decideAll(house);
  const records = await house.buildRecords.cached();
  const roots = await gatherRoots(house, builds, fates, records);
  const marks = await mark(roots.roots, openReferences(house.blobs));
  const before = cutoffs(house, builds, roots.certain);
  const ids = new Set(roots.roots.flatMap(({ text }) => idsIn(text)));
  const sorted = {
    blob: await sort(contents.blob, (name) => marks.has(name), before.blob),
    layer: await sort(contents.layer, (name) => marks.has(name), before.layer),
    "build log": await sort(contents["build log"], (name) => ids.has(name), before["build log"]),
  };
  const endedRecipes = await deletedRecipes(house);
  return {
    ...roots,
    builds,
    fates,
    endedRecipes: endedRecipes.filter(({ deleted }) => isOver(deleted, house.retention)),
    marks,
    contents,
    sorted,
    before,
    staleRecords: staleAmong(records, sorted),
  };
}

export async function decideAll(house: House): Promise<Fate[]> {
  const { images, retention } = house;
  const byId = ({ id }: { readonly id: string }) => id;
  const live = await everyPage((page) => images.listImages(page), byId);
  const deleted = await everyPage((page) => images.listDeletedImages(page), byId);
  return decideFates(live, deleted, byImage(await imageUses(house)), retention, clock.now());
}

/** Times are stored with whole seconds. */
const secondMs = 1000;

/**
 * What a build puts before it writes the pointer to it is younger than the build; what others put so is younger than
 * the grace period.
 */
function cutoffs({ retention }: House, builds: Survey["builds"], certain: boolean): Survey["before"] {
  const now = clock.now().getTime();
  const began = builds.map(({ created }) => Date.parse(created) - secondMs);
  const before = certain ? Math.min(now - retention.graceHours * 3_600_000, ...began) : 0;
  return { blob: before, layer: before, "build log": Math.min(before, now - retention.keepDays * 86_400_000) };
}

function staleAmong(
  records: readonly { readonly id: string; readonly names: readonly string[] }[],
  { blob, layer }: Survey["sorted"],
): string[] {
  const namesOf = (...lists: readonly (readonly Stored[])[]) => new Set(lists.flat().map(({ name }) => name));
  const condemned = namesOf(blob.condemned, layer.condemned);
  const staying = namesOf(blob.kept, blob.young, layer.kept, layer.young);
  return records
    .filter(({ names }) => names.length > 0)
    .filter(({ names }) => names.some((name) => condemned.has(name)) || !names.some((name) => staying.has(name)))
    .map(({ id }) => id);
}

const keptMostCount = 10;
/** Bytes; why smaller things are kept can be asked. */
const largeThing = 1 << 20;

/** What a garbage collection would do. */
export function reportOf({ fates, endedRecipes, sorted, staleRecords, marks }: Survey): GcReport {
  let report: GcReport = { ...emptyReport(), records: staleRecords.length };
  for (const kind of kinds) {
    for (const { name, size } of sorted[kind].condemned) report = addRemoved(report, kind, name, size);
  }
  const all = (which: "young" | "kept") => kinds.flatMap((kind) => sorted[kind][which]);
  return {
    ...report,
    images: fates.flatMap(({ image: { id, name }, fate }) => (fate === "keep" ? [] : [{ id, name, fate }])),
    recipes: endedRecipes.map(({ id, name }) => ({ id, name })),
    items: report.items.toSorted((a, b) => b.bytes - a.bytes),
    young: amountOf(all("young")),
    kept: amountOf(all("kept")),
    keptMost: keptMost(sorted, marks),
  };
}

export function amountOf(stored: readonly Stored[]): Amount {
  return { count: stored.length, bytes: stored.reduce((sum, { size }) => sum + size, 0) };
}

function keptMost(sorted: Survey["sorted"], marks: Marks): KeptThing[] {
  return (["blob", "layer"] as const)
    .flatMap((kind) => sorted[kind].kept.map((stored) => keptThing(kind, stored, marks)))
    .filter(({ bytes }) => bytes >= largeThing)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, keptMostCount);
}

export function keptThing(kind: StoredKind, { name, size }: Stored, marks: Marks): KeptThing {
  const keptBy = (marks.get(name) ?? []).map((root) => ({ name: root.name, because: root.because }));
  return { kind, name, bytes: size, keptBy };
}

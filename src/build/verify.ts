import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { artifactNames, type Image } from "../image/index.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { run } from "../lib/exec.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import { Turns } from "../lib/turns.ts";
import { openJournal } from "./journal.ts";
import { openLayerStore, type LayerStore } from "./layers.ts";
import { makeTree } from "./make-tree.ts";
import { pack, type Packed } from "./pack.ts";
import { allSteps, planBuild } from "./plan.ts";
import { noneRead } from "./read-layers.ts";
import { migrations, openStepStore } from "./store.ts";
import { digestLayer } from "./tree/archive.ts";
import { differingFiles } from "./tree/compare.ts";
import type { BuildPlan, Comparison, Foundation, ImageRequest } from "./types.ts";
import { viewInTurns } from "./view-tree.ts";
import type { BuildContext, Tree, Work } from "./work.ts";

/**
 * Builds an image again, from its recorded locks and commits, with nothing of earlier builds at hand, and compares
 * every layer and every file of it. What comes out is not published.
 */
export async function verifyImage(
  id: string,
  image: Image,
  context: BuildContext,
  signal: AbortSignal,
): Promise<Comparison> {
  const request = await wholeRequest(image, context);
  return context.layers.withWorkFolder(async (folder) => {
    const fresh = await freshContext(folder, image, context);
    try {
      for (const { layer } of image.manual ?? []) await lendLayer(layer, image, fresh.layers, context.layers);
      const plan = await planBuild(request, fresh);
      const journal = await openJournal(id, allSteps(plan), context);
      try {
        const work: Work = { id, request, plan, journal, context: fresh, signal };
        const tree = await makeTree(work);
        const packed = await pack(tree, viewInTurns(tree, work), work);
        return await compare(image, tree, packed, { plan, again: fresh, context });
      } finally {
        await journal.close();
      }
    } finally {
      await fresh.close();
    }
  });
}

/** The request of an image with those of the images below it in the place of the images. */
async function wholeRequest(image: Image, context: BuildContext): Promise<ImageRequest> {
  const task = await context.builds.task(image.build);
  if (task?.kind !== "image") {
    throw new NetkilnError("invalid_input", `nothing says how the image ${image.name} was built`, {
      hint: "only images that were built here can be built again",
    });
  }
  return { ...task.request, base: await wholeBase(task.request.base, context) };
}

async function wholeBase(base: Foundation, context: BuildContext): Promise<Foundation> {
  switch (base.kind) {
    case "image":
      return { kind: "request", request: await wholeRequest(base.image, context) };
    case "recipe":
      return base.below === undefined ? base : { ...base, below: await wholeBase(base.below, context) };
    case "request": {
      const { request } = base;
      return { kind: "request", request: { ...request, base: await wholeBase(request.base, context) } };
    }
  }
}

/** A house of its own for one build: it knows the image's locks, and no result of any step. */
async function freshContext(
  folder: string,
  image: Image,
  context: BuildContext,
): Promise<BuildContext & { close(): Promise<void> }> {
  await mkdir(folder, { recursive: true });
  const database = openDatabase(join(folder, "steps.db"));
  await migrate(database, migrations);
  const steps = openStepStore(database);
  for (const [family, digest] of Object.entries(image.locks)) await steps.putLock(family, digest, true);
  const layers = await openLayerStore(folder);
  return {
    ...context,
    steps,
    layers,
    isKept: async ({ layer, file }) =>
      (layer === undefined || (await layers.has(layer))) &&
      (file === undefined || (await context.blobs.has(file.sha256))),
    flights: new SingleFlight(),
    turns: new Turns(),
    read: noneRead(),
    packedModules: join(folder, "ansible-modules"),
    close: () => database.destroy(),
  };
}

/** Copies a kept layer that was made by hand to where the image is built again, if it is what its name says. */
async function lendLayer(layer: string, image: Image, to: LayerStore, from: LayerStore): Promise<void> {
  if (!(await from.has(layer))) {
    throw new NetkilnError("not_found", `the layer ${layer} is gone, and what was made by hand cannot be made again`);
  }
  const below = image.layers.slice(image.layers.indexOf(layer) + 1);
  const lower = [...below, from.empty].map((name) => join(from.root, name));
  const { diffId } = await digestLayer(join(from.root, layer), lower);
  if (diffId !== layer) {
    throw new NetkilnError("work_failed", `the layer ${layer}, made by hand, is damaged: its digest is ${diffId}`);
  }
  await to.withWorkFolder(async (folder) => {
    const copy = join(folder, "tree");
    await run(["cp", "--archive", "--reflink=auto", "--", join(from.root, layer), copy]);
    await to.commit(copy, layer);
  });
}

interface Builds {
  readonly plan: BuildPlan;
  readonly again: BuildContext;
  readonly context: BuildContext;
}

async function compare(image: Image, tree: Tree, packed: Packed, { again, context }: Builds): Promise<Comparison> {
  const same: string[] = [];
  const different: { what: string; was: string; is: string }[] = [];
  const note = (what: string, was: string, is: string) =>
    void (was === is ? same.push(what) : different.push({ what, was, is }));
  const files: string[] = [];
  // Bottom first, as they were made.
  const [was, is] = [image.layers.toReversed(), tree.layers.toReversed()];
  for (let index = 0; index < Math.max(was.length, is.length); index += 1) {
    const [before = "none", now = "none"] = [was[index], is[index]];
    if (before === now && image.manual?.some(({ layer }) => layer === now) === true) continue;
    note(`layer ${index + 1}`, before, now);
    if (before === now || before === "none" || now === "none") continue;
    files.push(...(await differingFiles(join(context.layers.root, before), join(again.layers.root, now))));
  }
  note("root tree", image.chain, tree.chain);
  for (const name of artifactNames) {
    const [before, now] = [image.artifacts[name]?.sha256, packed.artifacts[name]?.sha256];
    if (before !== undefined || now !== undefined) note(name, before ?? "none", now ?? "none");
  }
  const tools = Object.entries(image.tools ?? {}).filter(([name, version]) => {
    const now = (context.tools as Readonly<Record<string, string>>)[name];
    return now !== version;
  });
  return {
    ...{ same, different, files },
    tools: tools.map(([name, version]) => `${name} was ${version}`),
    ...(image.manual !== undefined && { manual: image.manual }),
  };
}

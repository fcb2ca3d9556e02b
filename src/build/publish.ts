import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "../compliance/index.ts";
import { artifactNames, manifestText, openSigningKey, type Image, type ImageArtifacts } from "../image/index.ts";
import { clock, timestamp } from "../lib/clock.ts";
import { writeDocuments, type TreeInventory } from "./describe/documents.ts";
import { stepKey } from "./key.ts";
import { readLock } from "./make-layer.ts";
import type { Packed } from "./pack.ts";
import { commitsOf, manualLayersOf } from "./steps.ts";
import type { StepResult } from "./types.ts";
import { releaseOf, type Tree, type Work } from "./work.ts";

/** What a finished build has to show beside its tree. */
export interface Finished {
  readonly gate: StepResult | undefined;
  readonly inventory: TreeInventory;
  readonly packed: Packed;
}

/**
 * Writes the manifest, what describes the image, and then the one record that makes it exist; the same image is not
 * published twice.
 */
export async function publish(tree: Tree, { gate, inventory, packed }: Finished, work: Work): Promise<Image> {
  const { request, plan, context } = work;
  const { buildId } = releaseOf(tree);
  const same = await context.images.findSameImage(request.name, buildId);
  const { kernelParameters } = plan.inherited;
  if (same?.kernelParameters === kernelParameters && sameArtifacts(same.artifacts, packed.artifacts)) {
    if (request.own === undefined || same.build === work.id) return same;
  }
  const id = clock.uuid();
  const created = timestamp();
  const manifest = await context.blobs.putBytes(manifestText(id, created, packed.artifacts));
  const { rootHash } = packed;
  const manual = manualLayersOf(request);
  const described = {
    id,
    name: request.name,
    created,
    ...plan.inherited,
    outputs: [...(request.outputs ?? plan.inherited.outputs)],
    buildId,
    build: work.id,
    layers: tree.layers,
    chain: tree.chain,
    artifacts: { ...packed.artifacts, manifest },
    ...(rootHash !== undefined && { rootHash }),
    base: tree.base,
    locks: tree.locks,
    tools: context.tools,
    commits: [...commitsOf(request.base), ...(request.configuration?.layers ?? [])],
    ...(manual.length > 0 && { manual }),
    checks: await Promise.all(
      plan.checks.map(async ({ file, text }) => ({ file, sha256: (await context.blobs.putBytes(text)).sha256 })),
    ),
    verdict: gate === undefined ? ("none" as const) : ("passed" as const),
  };
  const image: Image = {
    ...described,
    documents: await documentsOf(described, tree, { gate, inventory, packed }, work),
  };
  await context.images.publish(image);
  await context.events.record(`build:${work.id}`, "published", { image: id, name: request.name });
  return image;
}

async function documentsOf(
  image: Omit<Image, "documents">,
  tree: Tree,
  { gate, inventory }: Finished,
  work: Work,
): Promise<Image["documents"]> {
  const { plan, context } = work;
  const outputs = [plan.gate, ...Object.values(plan.outputs)].map((step) => ({
    ...step,
    key: step.key ?? stepKey(step.kind, step.inputs, tree.chain),
  }));
  const build = await context.builds.find(work.id);
  return writeDocuments(
    {
      image,
      inventory,
      steps: [...tree.steps, ...outputs],
      locks: await Promise.all([...new Set(Object.values(tree.locks))].map((digest) => readLock(digest, work))),
      verdict: gate?.file && (JSON.parse(await readFile(context.blobs.path(gate.file.sha256), "utf8")) as Verdict),
      run: { id: work.id, started: build?.started ?? image.created, finished: image.created },
      version: context.version,
    },
    await openSigningKey(join(context.data, "keys")),
    context.blobs,
  );
}

function sameArtifacts(a: ImageArtifacts, b: Packed["artifacts"]): boolean {
  return artifactNames.every((name) => a[name]?.sha256 === b[name]?.sha256);
}

import { join } from "node:path";
import type { Image, ImageStore } from "../image/index.ts";
import type { JobStore } from "../job/index.ts";
import { NetkilnError, type ErrorRecord } from "../lib/errors.ts";
import { canonicalJson } from "../lib/files.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import { Turns } from "../lib/turns.ts";
import type { Handler } from "../job/index.ts";
import { allSteps, fingerprintOf, planBuild, type PlanContext } from "./plan.ts";
import { attestRebuild } from "./attest.ts";
import { buildIdOf } from "./make-layer.ts";
import { noneRead } from "./read-layers.ts";
import { runBuild } from "./run.ts";
import type { BuildContext } from "./work.ts";
import type { BuildStore } from "./store.ts";
import type { Build, BuildOutcome, BuildPlan, BuildTask, ImageRequest } from "./types.ts";
import { renewLock } from "./renew-lock.ts";
import { verifyImage } from "./verify.ts";

export const buildJob = "build";

/** What came of a request: an image that is there already, or the build that will make it. */
export type Started =
  | { readonly kind: "image"; readonly image: Image }
  | { readonly kind: "build"; readonly build: Build; readonly joined: boolean };

/**
 * Starts the build of an image. Nothing is started when the image is there already, and a build of the same request
 * that is under way is joined; another request for the same image is refused until that one has ended. Who asks for an
 * image of its own gets a new one in any case.
 */
export async function startBuild(
  request: ImageRequest,
  context: PlanContext & { readonly images: ImageStore; readonly builds: BuildStore; readonly jobs: JobStore },
): Promise<Started> {
  const plan = await planBuild(request, context);
  const image = request.own === undefined ? await findPublished(plan, request, context) : undefined;
  if (image !== undefined) {
    await context.images.makeNewest(image.id);
    return { kind: "image", image };
  }
  const fingerprint = fingerprintOf(plan, request);
  const other = await context.builds.findUnfinished(request.name);
  if (other !== undefined && other.fingerprint !== fingerprint) {
    throw new NetkilnError("conflict", `the image ${request.name} is being built from other inputs`, {
      hint: `wait for build ${other.build.id.slice(0, 8)} (netkiln builds logs -f ${other.build.id.slice(0, 8)})`,
    });
  }
  const { build, joined } = await context.builds.create({ kind: "image", request }, fingerprint);
  await context.jobs.enqueue(buildJob, build.id);
  return { kind: "build", build, joined };
}

/** The image that all these steps have led to before, when nothing of it has gone since. */
async function findPublished(
  plan: BuildPlan,
  { given = {} }: ImageRequest,
  context: PlanContext & { images: ImageStore },
): Promise<Image | undefined> {
  const outputs = Object.entries(plan.outputs);
  const everyStep = allSteps(plan).filter((step) => step !== plan.gate || plan.checks.length > 0);
  if (everyStep.some((step) => step.state !== "cached")) return undefined;
  const image = await context.images.findSameImage(plan.name, buildIdOf(plan.tree.at(-1)?.key ?? ""));
  if (image === undefined || image.kernelParameters !== plan.inherited.kernelParameters) return undefined;
  // No step makes these.
  for (const [name, file] of Object.entries(given)) {
    if (image.artifacts[name as keyof typeof given]?.sha256 !== file.sha256) return undefined;
  }
  for (const [name, step] of outputs) {
    const result = await context.steps.find(step.key ?? "");
    if (image.artifacts[name as keyof typeof plan.outputs]?.sha256 !== result?.file?.sha256) return undefined;
  }
  return image;
}

/** What a worker does with build jobs; their subject is the build's id. */
export function buildHandler(context: Omit<BuildContext, "flights" | "turns" | "read" | "packedModules">): Handler {
  const flights: BuildContext["flights"] = new SingleFlight();
  const turns = new Turns();
  const read = noneRead();
  const packedModules = join(context.data, "ansible-modules");
  return {
    run: async (job, signal) => {
      const { subject: id } = job;
      const task = await context.builds.task(id);
      if (task === undefined) throw new NetkilnError("not_found", `there is no build ${id}`);
      await context.builds.start(id);
      await context.events.record(`build:${id}`, "started", { attempt: job.attempt });
      const outcome = await carryOut(id, task, { ...context, flights, turns, read, packedModules }, signal);
      await context.builds.finish(id, outcome);
      await context.events.record(`build:${id}`, "succeeded", "imageId" in outcome ? { image: outcome.imageId } : {});
    },
    failed: async (job, error: ErrorRecord) => {
      await context.builds.finish(job.subject, { error });
      await context.events.record(`build:${job.subject}`, "failed", { error });
    },
  };
}

async function carryOut(
  id: string,
  task: BuildTask,
  context: BuildContext,
  signal: AbortSignal,
): Promise<Exclude<BuildOutcome, { error: ErrorRecord }>> {
  switch (task.kind) {
    case "image":
      return { imageId: (await runBuild(id, task.request, context, signal)).id };
    case "verify": {
      const comparison = await verifyImage(id, task.image, context, signal);
      await attestRebuild(id, task.image, comparison, context);
      return { result: comparison };
    }
    case "lock":
      return { result: await renewLock(id, task, context, signal) };
  }
}

/** Starts the rebuild that shows whether an image is what its inputs give. */
export async function startVerify(
  image: Image,
  context: { readonly builds: BuildStore; readonly jobs: JobStore },
): Promise<Build> {
  const { build } = await context.builds.create({ kind: "verify", image }, image.id);
  await context.jobs.enqueue(buildJob, build.id);
  return build;
}

/** Starts looking up what a recipe's base is to be made of; without `update` nothing happens when that is pinned. */
export async function startLock(
  task: Omit<BuildTask & { kind: "lock" }, "kind">,
  context: { readonly builds: BuildStore; readonly jobs: JobStore },
): Promise<Build> {
  const { build } = await context.builds.create({ kind: "lock", ...task }, canonicalJson(task));
  await context.jobs.enqueue(buildJob, build.id);
  return build;
}

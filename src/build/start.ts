import type { Image, ImageStore } from "../image/index.ts";
import type { JobStore } from "../job/index.ts";
import { NetkilnError, type ErrorRecord } from "../lib/errors.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import { Turns } from "../lib/turns.ts";
import type { Handler } from "../job/index.ts";
import { fingerprintOf, planBuild, type PlanContext } from "./plan.ts";
import { runBuild, type BuildContext } from "./run.ts";
import type { BuildStore } from "./store.ts";
import type { Build, BuildPlan, ImageRequest } from "./types.ts";

export const buildJob = "build";

/** What came of a request: an image that is there already, or the build that will make it. */
export type Started =
  | { readonly kind: "image"; readonly image: Image }
  | { readonly kind: "build"; readonly build: Build; readonly joined: boolean };

/**
 * Starts the build of an image. Nothing is started when the image is there already, and a build of the same request
 * that is under way is joined; another request for the same image is refused until that one has ended.
 */
export async function startBuild(
  request: ImageRequest,
  context: PlanContext & { readonly images: ImageStore; readonly builds: BuildStore; readonly jobs: JobStore },
): Promise<Started> {
  const plan = await planBuild(request, context);
  const image = await findPublished(plan, context);
  if (image !== undefined) {
    await context.images.makeNewest(image.id);
    return { kind: "image", image };
  }
  const fingerprint = fingerprintOf(plan);
  const other = await context.builds.findUnfinished(request.name);
  if (other !== undefined && other.fingerprint !== fingerprint) {
    throw new NetkilnError("conflict", `the image ${request.name} is being built from other inputs`, {
      hint: `wait for build ${other.build.id.slice(0, 8)} (netkiln builds logs -f ${other.build.id.slice(0, 8)})`,
    });
  }
  const { build, joined } = await context.builds.create(request, fingerprint);
  await context.jobs.enqueue(buildJob, build.id);
  return { kind: "build", build, joined };
}

/** The image that all these steps have led to before, when nothing of it has gone since. */
async function findPublished(
  plan: BuildPlan,
  context: PlanContext & { images: ImageStore },
): Promise<Image | undefined> {
  const outputs = Object.entries(plan.outputs);
  const everyStep = [...plan.tree, ...Object.values(plan.outputs), ...(plan.checks.length > 0 ? [plan.gate] : [])];
  if (everyStep.some((step) => !step.cached)) return undefined;
  const identity = (await context.steps.find(plan.tree.at(-1)?.key ?? ""))?.identity ?? "";
  const image = await context.images.findSameImage(plan.name, identity);
  if (image === undefined) return undefined;
  for (const [name, step] of outputs) {
    const result = await context.steps.find(step.key);
    if (image.artifacts[name as keyof typeof plan.outputs]?.sha256 !== result?.file?.sha256) return undefined;
  }
  return image;
}

/** What a worker does with build jobs; their subject is the build's id. */
export function buildHandler(context: Omit<BuildContext, "flights" | "turns">): Handler {
  const flights: BuildContext["flights"] = new SingleFlight();
  const turns = new Turns();
  return {
    run: async (job, signal) => {
      const request = await context.builds.request(job.subject);
      if (request === undefined) throw new NetkilnError("not_found", `there is no build ${job.subject}`);
      await context.builds.start(job.subject);
      await context.events.record(`build:${job.subject}`, "started", { attempt: job.attempt });
      const image = await runBuild(job.subject, request, { ...context, flights, turns }, signal);
      await context.builds.finish(job.subject, { imageId: image.id });
      await context.events.record(`build:${job.subject}`, "succeeded", { image: image.id });
    },
    failed: async (job, error: ErrorRecord) => {
      await context.builds.finish(job.subject, { error });
      await context.events.record(`build:${job.subject}`, "failed", { error });
    },
  };
}

import { foundationOf, laterStatus, startBuild, statusOfBuild, type ImageJob } from "../build/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError, toErrorRecord } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { imageOf, imageShellJob } from "./image-shells.ts";
import type { House } from "./open.ts";

type Change = Parameters<House["imageJobs"]["change"]>[1];

/** Takes the step of every job that it can take now. */
export async function advanceImageJobs(house: House): Promise<void> {
  for (const job of await house.imageJobs.underWay()) {
    const change = await next(job, house).catch((error: unknown) => failed(job, error, house));
    if (change === undefined) continue;
    await house.imageJobs.change(job.id, change);
    const { status = job.status } = change;
    if (status !== job.status) await house.events.record(`image-job:${job.id}`, status, { name: job.name });
  }
}

/** IMS has no place for what went wrong: it stands in the events. */
async function failed(job: ImageJob, error: unknown, house: House): Promise<Change> {
  if (!(error instanceof NetkilnError)) log.error({ job: job.id, error }, "a job cannot go on");
  await house.events.record(`image-job:${job.id}`, "failed", { error: toErrorRecord(error) });
  return { status: "error" };
}

/** What becomes of the job now; undefined when nothing does. */
async function next(job: ImageJob, house: House): Promise<Change | undefined> {
  if (job.build !== undefined) return followBuild(job, job.build, house);
  if (job.kind === "create") return startOf(job, house);
  return job.byHand === undefined ? toUser(job, house) : startByHand(job, job.byHand, house);
}

async function followBuild(job: ImageJob, id: string, house: House): Promise<Change | undefined> {
  const build = await house.builds.find(id);
  if (build === undefined) throw new NetkilnError("not_found", `the build ${id} is gone`);
  const status = laterStatus(job.kind, job.status, statusOfBuild(build));
  if (status === "error" && job.enableDebug && job.kind === "create") return askForShell(job, house);
  if (status === job.status) return undefined;
  return { status, ...(build.imageId !== undefined && { resultantImage: build.imageId }) };
}

/** Each job makes an image of its own: its client may delete what had the name before. */
async function startOf(job: ImageJob, house: House): Promise<Change | undefined> {
  const recipe = await house.images.findRecipe(job.artifact);
  if (recipe?.id !== job.artifact) throw new NetkilnError("not_found", `the recipe ${job.artifact} is not kept here`);
  const base = await foundationOf(recipe, house.images);
  const started = await startBuild({ name: job.name, base, groups: [], own: job.id }, house).catch(unlessUnderWay);
  if (started === undefined) return undefined;
  if (started.kind === "build") return { status: "fetching_recipe", build: started.build.id };
  return { status: "success", resultantImage: started.image.id };
}

/** Another image of that name is being built: the job waits for it. */
function unlessUnderWay(error: unknown): undefined {
  if (error instanceof NetkilnError && error.code === "conflict") return undefined;
  throw error;
}

async function toUser(job: ImageJob, house: House): Promise<Change | undefined> {
  return job.status === "creating" ? { status: "fetching_image" } : askForShell(job, house);
}

/** A worker opens the shell, and says where it is. */
async function askForShell(job: ImageJob, house: House): Promise<Change | undefined> {
  if (job.sshContainers.some(({ status }) => status !== "pending")) return undefined;
  await house.jobs.enqueue(imageShellJob, job.id);
  return { sshContainers: job.sshContainers.map((container) => ({ ...container, status: "establishing" })) };
}

/** An image of what was done in a job's shell. */
async function startByHand(
  job: ImageJob,
  { layer, at }: NonNullable<ImageJob["byHand"]>,
  house: House,
): Promise<Change | undefined> {
  const image = await imageOf(job, house);
  const manual = layer === undefined ? undefined : { layer, at, by: "ssh", note: `IMS job ${job.id}` };
  const request = { name: job.name, base: { kind: "image", image } as const, groups: [], own: job.id };
  const started = await startBuild(manual === undefined ? request : { ...request, manual }, house).catch(
    unlessUnderWay,
  );
  if (started === undefined) return undefined;
  if (started.kind === "build") return { build: started.build.id };
  return { status: "success", resultantImage: started.image.id };
}

const periodMs = 200;

/** Carries jobs on until `signal`; whatever state a crash left them in is where they go on. */
export async function carryImageJobsOn(house: House, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await advanceImageJobs(house).catch((error: unknown) => log.error({ error }, "jobs cannot go on"));
    await clock.sleep(periodMs, signal).catch(() => undefined);
  }
}

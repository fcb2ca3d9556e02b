import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  buildFolder,
  openSshShell,
  partialTree,
  type HandTree,
  type ImageJob,
  type SshContainer,
  type SshShellResult,
} from "../build/index.ts";
import type { Image } from "../image/index.ts";
import type { Handler } from "../job/index.ts";
import { timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import type { Config } from "./config.ts";
import { findVouched } from "./image-work.ts";
import type { House } from "./open.ts";

export const imageShellJob = "image-shell";

/** What is done in the shell of a job, until it is a layer. */
function shellFolder(data: string, job: string): string {
  return join(data, "image-jobs", job);
}

/** A worker that dies on a shell goes on with it: what was done by then is there. Not for ever, should it die of it. */
const triesAtMost = 10;

/** What a worker does with jobs that wait for their user; the subject is the job's id. */
export function imageShellHandler(house: House, config: Config): Handler {
  return {
    run: async ({ subject: id, attempt }, signal) => {
      const job = await house.imageJobs.find(id);
      if (job === undefined || !wantsShell(job)) return;
      if (attempt > triesAtMost)
        throw new NetkilnError("work_failed", `given up: the worker died ${attempt - 1} times`);
      const ended = new AbortController();
      const watch = watchEnd(house, id, ended);
      try {
        await waitForUser(job, AbortSignal.any([signal, ended.signal]), house, config);
      } catch (error) {
        const now = await house.imageJobs.find(id);
        if (signal.aborted || (now !== undefined && wantsShell(now))) throw error;
      } finally {
        clearInterval(watch);
        // Given back by a worker that stops in order, it is gone on with.
        if (!signal.aborted) await rm(shellFolder(house.data, id), { recursive: true, force: true });
      }
    },
    failed: async ({ subject: id }, error) => {
      await house.events.record(`image-job:${id}`, "failed", { error });
      await house.imageJobs.change(id, { status: "error" });
    },
  };
}

function wantsShell({ status, byHand }: ImageJob): boolean {
  return byHand === undefined && status !== "error" && status !== "success";
}

const endPollMs = 500;

/** Who deletes a job, or says that it has ended, takes its shell away. */
function watchEnd(house: House, id: string, ended: AbortController): NodeJS.Timeout {
  return setInterval(() => {
    house.imageJobs.find(id).then(
      (job) => {
        if (job === undefined || !wantsShell(job)) ended.abort(new Error("the job is over"));
      },
      (error: unknown) => log.warn({ error, job: id }, "cannot look after a job"),
    );
  }, endPollMs);
}

async function waitForUser(job: ImageJob, signal: AbortSignal, house: House, config: Config): Promise<void> {
  const { address, host = address, first_port: first, last_port: last, hours } = config.image_ssh;
  const [container] = job.sshContainers;
  const key = await house.sshKeys.find(job.publicKey, "live");
  if (key === undefined) throw new NetkilnError("not_found", `the public key ${job.publicKey} is gone`);
  const tree = job.kind === "customize" ? await imageOf(job, house) : await treeOfBuild(job, house);
  await house.imageJobs.change(job.id, { tree: tree.layers });
  const record = (what: string, detail: Record<string, unknown>) =>
    house.events.record(`image-job:${job.id}`, what, detail);
  const result = await openSshShell(
    tree,
    {
      ...{ folder: shellFolder(house.data, job.id), jail: container?.jail === true, publicKey: key.publicKey },
      ...{ address, ports: { first, last }, buildsKernelModules: job.requireDkms, signal },
      log: job.build === undefined ? undefined : join(buildFolder(house.data, job.build), "log"),
      timeoutMs: hours * 3_600_000,
      onListening: async (port) => {
        const place = { host, port };
        const connections = { customer_access: place, "cluster.local": place };
        await house.imageJobs.change(job.id, { status: "waiting_on_user", ...containers(job, "active", connections) });
        await record("waiting_on_user", place);
      },
      onLogin: async (line) => void (await record("login", { line })),
    },
    house,
  );
  await end(job, result, house);
}

async function end(job: ImageJob, { ended, layer }: SshShellResult, house: House): Promise<void> {
  await house.events.record(`image-job:${job.id}`, "shell", { ended });
  const byHand = { at: timestamp(), ...(layer !== undefined && { layer }) };
  const isImage = job.kind === "customize" && ended === "complete";
  await house.imageJobs.change(job.id, {
    ...containers(job, "complete", {}),
    // Of a shell that was opened to look for a fault no image is made.
    ...(isImage ? { status: "packaging_artifacts", byHand } : { status: "error" }),
  });
}

function containers(
  { sshContainers }: ImageJob,
  status: SshContainer["status"],
  connections: SshContainer["connections"],
): Pick<ImageJob, "sshContainers"> {
  return { sshContainers: sshContainers.map((container) => ({ ...container, status, connections })) };
}

/** The image that a job changes. */
export async function imageOf(job: ImageJob, house: House): Promise<Image> {
  const image = await findVouched(job.artifact, house);
  if (image?.id === job.artifact) return image;
  throw new NetkilnError("not_found", `the image ${job.artifact} is not kept here`);
}

/** What there is of the tree of a build that failed; none of it when it failed before. */
async function treeOfBuild({ build, name }: ImageJob, house: House): Promise<HandTree> {
  const task = build === undefined ? undefined : await house.builds.task(build);
  if (task?.kind !== "image") return { name, layers: [], epoch: 0, packageSource: undefined };
  return partialTree(task.request, house);
}

/** Removes what shells of jobs have left that are over. */
export async function sweepShells(house: House): Promise<void> {
  const folder = join(house.data, "image-jobs");
  for (const id of await readdir(folder).catch(() => [])) {
    const job = await house.imageJobs.find(id);
    if (job === undefined || !wantsShell(job)) await rm(join(folder, id), { recursive: true, force: true });
  }
}

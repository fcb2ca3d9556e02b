import type { Build, StepReport } from "../types.ts";
import type { JobKind, JobStatus } from "./types.ts";

/** The statuses of a job in the order in which it has them; at the end it is one of `success` and `error`. */
const orders: Readonly<Record<JobKind, readonly JobStatus[]>> = {
  create: ["creating", "fetching_recipe", "waiting_for_repos", "building_image", "packaging_artifacts"],
  customize: ["creating", "fetching_image", "waiting_on_user", "packaging_artifacts"],
};

/** Which of two statuses a job comes to later. */
export function laterStatus(kind: JobKind, a: JobStatus, b: JobStatus): JobStatus {
  const isEnd = (status: JobStatus) => status === "success" || status === "error";
  // What a job of this kind never has does not come later than anything.
  const place = (status: JobStatus) => (isEnd(status) ? orders[kind].length : orders[kind].indexOf(status));
  return place(b) > place(a) ? b : a;
}

const treeKinds: ReadonlySet<StepReport["kind"]> = new Set([
  ...(["base", "files", "packages", "script", "ansible", "playbook", "manual", "release"] as const),
]);

/** What the build of a job's image says of the job. */
export function statusOfBuild(build: Pick<Build, "status" | "steps">): JobStatus {
  switch (build.status) {
    case "pending":
      return "fetching_recipe";
    case "succeeded":
      return "success";
    case "failed":
      return "error";
    case "running":
      return statusOfSteps(build.steps);
  }
}

function statusOfSteps(steps: readonly StepReport[]): JobStatus {
  const begun = steps.filter(({ state }) => state !== "waiting" && state !== "cached");
  if (begun.some(({ kind }) => kind !== "lock" && !treeKinds.has(kind))) return "packaging_artifacts";
  if (begun.some(({ kind }) => treeKinds.has(kind))) return "building_image";
  return begun.length > 0 ? "waiting_for_repos" : "fetching_recipe";
}

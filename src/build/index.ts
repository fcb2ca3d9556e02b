export { buildFolder } from "./journal.ts";
export { compareLocks, lockDigest, lockSummary, lockText, type LockChanges, type LockSummary } from "./base/lock.ts";
export { layerPartKeys } from "./layer-parts.ts";
export { openLayerStore, type LayerStore } from "./layers.ts";
export type { HandTree } from "./hand-layer.ts";
export { partialTree } from "./partial-tree.ts";
export { allSteps, planBuild, type BuildSettings, type PlanContext } from "./plan.ts";
export { openBuildRecords, type BuildRecords, type CacheRecord, type UnfinishedBuild } from "./records.ts";
export { checkGivenBoot } from "./output/given-boot.ts";
export { parsePassthrough } from "./layer/passthrough.ts";
export { debugLayer, prepareLiveRun } from "./live/live-run.ts";
export { emptyBlob, ociArtifact, ociReferrer } from "./output/oci.ts";
export { foundationOf, requestFor, type WantedImage } from "./request.ts";
export { checkLayer, openShell, type ShellOptions, type ShellResult } from "./shell.ts";
export { buildHandler, buildJob, startBuild, startLock, startVerify, type Started } from "./start.ts";
export { migrations, openBuildStore, openStepStore, type BuildStore, type StepStore } from "./store.ts";
export { readToolVersions } from "./tools.ts";
export { familyOf as lockFamily } from "./base/index.ts";
export type { Lock } from "./base/types.ts";
export type {
  Build,
  BuildPlan,
  Comparison,
  Locked,
  Foundation,
  ImageRequest,
  Planned,
  StepReport,
  StepResult,
} from "./types.ts";
export { createImageJob, type WantedJob } from "./image-job/create.ts";
export { openRemoteNodes, remoteNodeMigrations, type RemoteNodeStore } from "./image-job/remote-nodes.ts";
export { openSshKeys, sshKeyMigrations, type SshKey, type SshKeyStore } from "./image-job/ssh-keys.ts";
export { openSshShell, type SshShellResult } from "./image-job/ssh-shell.ts";
export { laterStatus, statusOfBuild } from "./image-job/status.ts";
export { imageJobMigrations, openImageJobs, type ImageJobStore, type JobFilter } from "./image-job/store.ts";
export { jobKinds, jobStatuses, type ImageJob, type JobStatus, type SshContainer } from "./image-job/types.ts";

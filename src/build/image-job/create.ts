import type { Arch, ImageRecordStore, RecipeRecordStore } from "../../image/index.ts";
import { aboutMember, NetkilnError } from "../../lib/errors.ts";
import type { ImageJobStore } from "./store.ts";
import type { SshKeyStore } from "./ssh-keys.ts";
import type { ImageJob, SshContainer } from "./types.ts";

/** A job as its client asks for it; what is not said is as IMS has it. */
export type WantedJob = Pick<ImageJob, "kind" | "artifact" | "publicKey" | "name"> & {
  readonly enableDebug?: boolean | undefined;
  readonly requireDkms?: boolean | undefined;
  readonly buildEnvSize?: number | undefined;
  readonly memSize?: number | undefined;
  readonly kernelFile?: string | undefined;
  readonly initrdFile?: string | undefined;
  readonly parametersFile?: string | undefined;
  readonly sshContainers?: readonly Pick<SshContainer, "name" | "jail">[] | undefined;
};

interface Stores {
  readonly recipeRecords: RecipeRecordStore;
  readonly imageRecords: ImageRecordStore;
  readonly sshKeys: SshKeyStore;
  readonly imageJobs: ImageJobStore;
}

/** Makes a job, which goes on by itself from here. Throws `invalid_input` for what can never come to an image. */
export async function createImageJob(wanted: WantedJob, stores: Stores): Promise<ImageJob> {
  const { enableDebug = false, buildEnvSize = 60, memSize = 8, initrdFile = "initrd" } = wanted;
  const containers = containersOf(wanted, enableDebug);
  if ((await stores.sshKeys.find(wanted.publicKey, "live")) === undefined) {
    throw aboutMember("public_key_id", `there is no public key ${wanted.publicKey}`);
  }
  const { arch, requireDkms } = await artifactOf(wanted, stores);
  return stores.imageJobs.create({
    kind: wanted.kind,
    artifact: wanted.artifact,
    publicKey: wanted.publicKey,
    name: wanted.name,
    ...{ arch, enableDebug, buildEnvSize, memSize, initrdFile },
    requireDkms: arch === "aarch64" || (wanted.requireDkms ?? requireDkms),
    kernelFile: wanted.kernelFile ?? (arch === "aarch64" ? "Image" : "vmlinuz"),
    parametersFile: wanted.parametersFile ?? "kernel-parameters",
    sshContainers: containers.map(({ name, jail }) => ({ name, jail, status: "pending", connections: {} })),
  });
}

function containersOf({ kind, sshContainers = [] }: WantedJob, enableDebug: boolean) {
  if (kind === "create") {
    if (sshContainers.length > 0) {
      throw new NetkilnError("invalid_input", "a job of type create has no ssh_containers of its own", {
        hint: "enable_debug opens a shell when its build fails",
      });
    }
    return enableDebug ? [{ name: "debug", jail: false }] : [];
  }
  if (sshContainers.length > 1) {
    throw new NetkilnError("invalid_input", "a job has one entry in ssh_containers at most");
  }
  return sshContainers.length === 0 ? [{ name: "customize", jail: false }] : sshContainers;
}

async function artifactOf({ kind, artifact }: WantedJob, { recipeRecords, imageRecords }: Stores) {
  const found: { arch: Arch; link: unknown; requireDkms?: boolean } | undefined =
    kind === "create" ? await recipeRecords.find(artifact, "live") : await imageRecords.find(artifact, "live");
  const what = kind === "create" ? "recipe" : "image";
  if (found === undefined) throw aboutMember("artifact_id", `there is no ${what} ${artifact}`);
  if (found.link === undefined) throw aboutMember("artifact_id", `the ${what} ${artifact} has no link`);
  return { arch: found.arch, requireDkms: found.requireDkms ?? false };
}

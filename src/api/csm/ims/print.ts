import type { ImageJob, SshKey } from "../../../build/index.ts";
import type { ImageRecord, Link, RecipeRecord } from "../../../image/index.ts";

/** Records as IMS prints them. A member that is null there is not here, as its contract knows no null. */

export function printImage({ id, created, name, arch, metadata, link, deleted }: ImageRecord) {
  return { id, created, ...deletedAt(deleted), name, ...printLink(link), arch, metadata };
}

export function printRecipe(record: RecipeRecord) {
  const { id, created, name, arch, type, linux, requireDkms, template, link, deleted } = record;
  return {
    ...{ id, created, ...deletedAt(deleted), name, ...printLink(link), arch },
    recipe_type: type,
    linux_distribution: linux,
    require_dkms: requireDkms,
    template_dictionary: Object.entries(template).map(([key, value]) => ({ key, value })),
  };
}

export function printPublicKey({ id, created, name, publicKey, deleted }: SshKey) {
  return { id, created, ...deletedAt(deleted), name, public_key: publicKey };
}

export function printJob(job: ImageJob) {
  const { id, created, kind, status, artifact, publicKey, name, arch } = job;
  return {
    ...{ id, created, job_type: kind, status, artifact_id: artifact, public_key_id: publicKey },
    image_root_archive_name: name,
    arch,
    enable_debug: job.enableDebug,
    require_dkms: job.requireDkms,
    build_env_size: job.buildEnvSize,
    job_mem_size: job.memSize,
    kernel_file_name: job.kernelFile,
    initrd_file_name: job.initrdFile,
    kernel_parameters_file_name: job.parametersFile,
    ssh_containers: job.sshContainers.map(({ connections, ...container }) => ({
      ...container,
      connection_info: connections,
    })),
    ...(job.resultantImage !== undefined && { resultant_image_id: job.resultantImage }),
    remote_build_node: "",
    // There is no Kubernetes behind it: clients read these to name the job's logs.
    kubernetes_namespace: "ims",
    kubernetes_job: `cray-ims-${id}-${kind}`,
    kubernetes_service: `cray-ims-${id}-service`,
    kubernetes_configmap: `cray-ims-${id}-configmap`,
    kubernetes_pvc: `cray-ims-${id}-job-claim`,
    kubernetes_secret: `cray-ims-${id}-signing-keys`,
  };
}

/** Of a node that nobody has looked at. */
export function printRemoteStatus(xname: string) {
  return {
    ...{ xname, sshStatus: "Unknown", podmanStatus: "Unknown", nodeArch: "Unknown" },
    ...{ numCurrentJobs: -1, ableToRunJobs: false },
  };
}

function deletedAt(deleted: string | undefined) {
  return deleted === undefined ? {} : { deleted };
}

function printLink(link: Link | undefined) {
  if (link === undefined) return {};
  return { link: { path: link.path, ...(link.etag !== undefined && { etag: link.etag }), type: "s3" } };
}

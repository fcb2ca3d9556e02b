import {
  createImageJob,
  type ImageJob,
  type ImageJobStore,
  type RemoteNodeStore,
  type SshKeyStore,
} from "../../../build/index.ts";
import type { ImageRecordStore, RecipeRecordStore } from "../../../image/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { prefixOf, type Version } from "./collection.ts";
import { inputOperation, noContent, notThere } from "./input.ts";
import { printJob, printRemoteStatus } from "./print.ts";
import { jobFilterSchema, jobPatchSchema, jobSchema, remoteNodeSchema } from "./schema.ts";

export interface JobParts {
  readonly imageJobs: ImageJobStore;
  readonly imageRecords: ImageRecordStore;
  readonly recipeRecords: RecipeRecordStore;
  readonly sshKeys: SshKeyStore;
}

export function jobOperations(parts: JobParts, version: Version): Operation[] {
  const { imageJobs } = parts;
  const path = `${prefixOf(version)}/jobs`;
  const one = `${path}/{job_id}`;
  const found = (job: ImageJob | undefined) => {
    if (job === undefined) throw notThere();
    return answer(200, printJob(job));
  };
  return [
    operation({
      ...{ id: `get_all_${version}_jobs`, method: "GET", path },
      run: async () => answer(200, (await imageJobs.list()).map(printJob)),
    }),
    inputOperation({ id: `post_${version}_job`, method: "POST", path }, jobSchema, async ({ body }) => {
      const wanted = {
        kind: body.job_type,
        artifact: body.artifact_id,
        publicKey: body.public_key_id,
        name: body.image_root_archive_name,
        enableDebug: body.enable_debug,
        requireDkms: body.require_dkms,
        buildEnvSize: body.build_env_size,
        memSize: body.job_mem_size,
        kernelFile: body.kernel_file_name,
        initrdFile: body.initrd_file_name,
        parametersFile: body.kernel_parameters_file_name,
        sshContainers: body.ssh_containers,
      };
      return answer(201, printJob(await createImageJob(wanted, parts)));
    }),
    operation({
      ...{ id: `delete_all_${version}_jobs`, method: "DELETE", path },
      query: jobFilterSchema,
      run: async ({ query }) => {
        await imageJobs.removeAll(query);
        return noContent;
      },
    }),
    operation({
      ...{ id: `get_${version}_job`, method: "GET", path: one },
      run: async ({ params: { job_id: id = "" } }) => found(await imageJobs.find(id)),
    }),
    inputOperation({ id: `patch_${version}_job`, method: "PATCH", path: one }, jobPatchSchema, async (asked) => {
      const { status, resultant_image_id: image } = asked.body;
      const change = {
        ...(status !== undefined && { status }),
        ...(image !== undefined && { resultantImage: image }),
      };
      return found(await imageJobs.change(asked.params["job_id"] ?? "", change));
    }),
    operation({
      ...{ id: `delete_${version}_job`, method: "DELETE", path: one },
      run: async ({ params: { job_id: id = "" } }) => {
        if (!(await imageJobs.remove(id))) throw notThere();
        return noContent;
      },
    }),
  ];
}

/** Nodes set aside for builds; v2 does not know them. Nobody builds there yet, so nobody looks at them either. */
export function remoteNodeOperations(nodes: RemoteNodeStore, version: "v3" | "bare"): Operation[] {
  const path = `${prefixOf(version)}/remote-build-nodes`;
  const one = `${path}/{remote_build_node_xname}`;
  const status = `${path}/status`;
  const required = async ({ remote_build_node_xname: xname = "" }: Readonly<Record<string, string>>) => {
    if (!(await nodes.has(xname))) throw notThere();
    return xname;
  };
  return [
    operation({
      ...{ id: `get_all_${version}_remote_build_nodes`, method: "GET", path },
      run: async () =>
        answer(
          200,
          (await nodes.list()).map((xname) => ({ xname })),
        ),
    }),
    inputOperation(
      { id: `post_${version}_remote_build_node`, method: "POST", path },
      remoteNodeSchema,
      async ({ body }) => {
        await nodes.add(body.xname);
        return answer(201, { xname: body.xname });
      },
    ),
    operation({
      ...{ id: `delete_all_${version}_remote_build_nodes`, method: "DELETE", path },
      run: async () => {
        for (const xname of await nodes.list()) await nodes.remove(xname);
        return noContent;
      },
    }),
    operation({
      ...{ id: `get_all_${version}_remote_build_status`, method: "GET", path: status },
      run: async () => answer(200, (await nodes.list()).map(printRemoteStatus)),
    }),
    // The contract says a list; the service answers with the one, and its clients expect that.
    operation({
      ...{ id: `get_${version}_remote_build_status`, method: "GET", path: `${status}/{remote_build_node_xname}` },
      run: async ({ params }) => answer(200, printRemoteStatus(await required(params))),
    }),
    operation({
      ...{ id: `get_${version}_remote_build_node`, method: "GET", path: one },
      run: async ({ params }) => answer(200, { xname: await required(params) }),
    }),
    operation({
      ...{ id: `delete_${version}_remote_build_node`, method: "DELETE", path: one },
      run: async ({ params }) => {
        await nodes.remove(await required(params));
        return noContent;
      },
    }),
  ];
}

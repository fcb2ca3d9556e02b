import type { CloudInitStore } from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { canonicalXname, labelSchema, typeOfXname, type NodeStore } from "../../../node/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { clusterDefaultsSchema, groupDataSchema, instanceInfoSchema, printDefaults, printGroup } from "./schema.ts";

export interface CloudInitAdminParts {
  readonly cloudInit: CloudInitStore;
  readonly nodes: NodeStore;
}

/** What operators set. */
export function adminOperations({ cloudInit, nodes }: CloudInitAdminParts): Operation[] {
  return [
    operation({
      id: "GET /admin/cluster-defaults",
      method: "GET",
      path: "/admin/cluster-defaults",
      run: async () => answer(200, printDefaults(await cloudInit.defaults())),
    }),
    operation({
      id: "POST /admin/cluster-defaults",
      method: "POST",
      path: "/admin/cluster-defaults",
      body: clusterDefaultsSchema,
      run: async ({ body }) => {
        await cloudInit.changeDefaults(body);
        return answer(201);
      },
    }),
    operation({
      id: "PUT /admin/instance-info/{id}",
      method: "PUT",
      path: "/admin/instance-info/{id}",
      body: instanceInfoSchema,
      run: async ({ params, body: { id, info } }) => {
        const xname = await xnameOf(nodes, params["id"] ?? "");
        if (id !== undefined && (await xnameOf(nodes, id)) !== xname) {
          throw new NetkilnError("invalid_input", `the path names ${xname}, and the body's id ${id}`);
        }
        await cloudInit.putInstance(xname, info);
        return answer(201);
      },
    }),
    ...groupOperations(cloudInit),
  ];
}

function groupOperations(cloudInit: CloudInitStore): Operation[] {
  const path = "/admin/groups/{name}";
  return [
    operation({
      id: "GET /admin/groups",
      method: "GET",
      path: "/admin/groups",
      run: async () =>
        answer(200, Object.fromEntries((await cloudInit.groups()).map((group) => [group.name, printGroup(group)]))),
    }),
    operation({
      id: "POST /admin/groups",
      method: "POST",
      path: "/admin/groups",
      body: groupDataSchema,
      unreadable: "unprocessable",
      run: async ({ body }) => {
        await cloudInit.createGroup(body);
        return answer(201, undefined, { location: `/groups/${body.name}` });
      },
    }),
    operation({
      id: "GET /admin/groups/{id}",
      method: "GET",
      path,
      run: async ({ params }) => {
        const group = await cloudInit.group(params["name"] ?? "");
        if (group !== undefined) return answer(200, printGroup(group));
        throw new NetkilnError("not_found", `cloud-init has no data for the group ${params["name"]}`);
      },
    }),
    operation({
      id: "PUT /admin/groups/{name}",
      method: "PUT",
      path,
      body: groupDataSchema,
      unreadable: "unprocessable",
      run: async ({ params, body }) => {
        if (params["name"] !== body.name) {
          throw new NetkilnError("unprocessable", `the path names ${params["name"]}, and the body ${body.name}`);
        }
        await cloudInit.putGroup(body);
        return answer(201, undefined, { location: `/groups/${body.name}` });
      },
    }),
    operation({
      id: "DELETE /admin/groups/{id}",
      method: "DELETE",
      path,
      // Nothing is left of it afterwards, whether there was something or not.
      run: async ({ params }) => {
        const name = labelSchema.safeParse(params["name"]);
        if (!name.success) throw new NetkilnError("unprocessable", `${params["name"]} is no name of a group`);
        await cloudInit.removeGroup(name.data);
        return answer(200);
      },
    }),
  ];
}

/** Something may be said of a node before it is in the inventory. */
async function xnameOf(nodes: NodeStore, name: string): Promise<string> {
  const xname = canonicalXname(name);
  if (typeOfXname(xname) === "Node") return xname;
  const node = await nodes.find(name);
  if (node !== undefined) return node.xname;
  throw new NetkilnError("invalid_input", `${name} is neither a node of the inventory nor the xname of one`);
}

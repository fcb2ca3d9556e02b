import type { z } from "zod";
import type { Inventory, MapStore, NodeMap } from "../../../node/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { deleted, done, noSuch, xnameOf } from "./print.ts";
import { nodeMapSchema, nodeMapsSchema, powerMapSchema, powerMapsSchema } from "./schema.ts";

/** Node maps and power maps: what a site says beforehand about places. */
export function mapOperations({ nodeMaps, powerMaps }: Inventory): Operation[] {
  return [
    operation({
      id: "doNodeMapsGet",
      method: "GET",
      path: "/Defaults/NodeMaps",
      run: async () => answer(200, { NodeMaps: (await nodeMaps.list()).map(printNodeMap) }),
    }),
    operation({
      id: "doNodeMapPost",
      method: "POST",
      path: "/Defaults/NodeMaps",
      body: nodeMapsSchema,
      run: async ({ body }) => {
        await nodeMaps.put(body.NodeMaps.map(({ ID, ...said }) => toNodeMap(ID, said)));
        return done(`Created or modified ${body.NodeMaps.length} entries`);
      },
    }),
    operation({
      id: "doNodeMapPut",
      method: "PUT",
      path: "/Defaults/NodeMaps/{xname}",
      body: nodeMapSchema,
      run: async ({ params, body }) => {
        const map = toNodeMap(xnameOf(params["xname"]), body);
        await nodeMaps.put([map]);
        return answer(200, printNodeMap(map));
      },
    }),
    ...common("doNodeMap", "/Defaults/NodeMaps", nodeMaps, printNodeMap),
    operation({
      id: "doPowerMapsGet",
      method: "GET",
      path: "/sysinfo/powermaps",
      run: async () => answer(200, (await powerMaps.list()).map(printPowerMap)),
    }),
    operation({
      id: "doPowerMapsPost",
      method: "POST",
      path: "/sysinfo/powermaps",
      body: powerMapsSchema,
      run: async ({ body }) => {
        await powerMaps.put(body.map(({ id, poweredBy }) => ({ xname: id, poweredBy })));
        return done(`Created or modified ${body.length} entries`);
      },
    }),
    operation({
      id: "doPowerMapPut",
      method: "PUT",
      path: "/sysinfo/powermaps/{xname}",
      body: powerMapSchema,
      run: async ({ params, body }) => {
        await powerMaps.put([{ xname: xnameOf(params["xname"]), poweredBy: body.poweredBy }]);
        return done("Created or modified 1 entries");
      },
    }),
    ...common("doPowerMap", "/sysinfo/powermaps", powerMaps, printPowerMap),
  ];
}

function common<Entry extends { readonly xname: string }>(
  prefix: string,
  path: string,
  store: MapStore<Entry>,
  print: (entry: Entry) => object,
): Operation[] {
  return [
    operation({
      id: `${prefix}sDeleteAll`,
      method: "DELETE",
      path,
      run: async () => deleted(await store.removeAll()),
    }),
    operation({
      id: `${prefix}Get`,
      method: "GET",
      path: `${path}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        const entry = await store.get(xname);
        if (entry === undefined) throw noSuch(xname);
        return answer(200, print(entry));
      },
    }),
    operation({
      id: `${prefix}Delete`,
      method: "DELETE",
      path: `${path}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        if (!(await store.remove(xname))) throw noSuch(xname);
        return deleted(1);
      },
    }),
  ];
}

function toNodeMap(xname: string, { NID, Role, SubRole }: z.output<typeof nodeMapSchema>): NodeMap {
  return { xname, nid: NID, role: Role, subRole: SubRole };
}

function printNodeMap({ xname, nid, role, subRole }: NodeMap) {
  return { ID: xname, NID: nid, Role: role, SubRole: subRole };
}

function printPowerMap({ xname, poweredBy }: { readonly xname: string; readonly poweredBy: readonly string[] }) {
  return { id: xname, poweredBy };
}

import type { z } from "zod";
import { NetkilnError } from "../../../lib/errors.ts";
import type { ComponentFilter, ComponentState, ComponentStore } from "../../../node/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Answer, type Operation } from "../../service.ts";
import { deleted, noSuch, printComponent, printerOf, xnameOf, type Views } from "./print.ts";
import {
  bulkNidSchema,
  componentsQuerySchema,
  folded,
  manyOf,
  nidPatchSchema,
  nidQuerySchema,
  patches,
  postComponentsSchema,
  putComponentSchema,
  queryBodySchema,
  toFilter,
  toInput,
  withinQuerySchema,
} from "./schema.ts";

const base = "/State/Components";

export function componentOperations(components: ComponentStore): Operation[] {
  const list = async (filter: ComponentFilter, views: Views): Promise<Answer> =>
    streamList(
      (page) => components.list(filter, page),
      ({ xname }) => xname,
      printerOf(views),
      [`{"Components":`, "}"],
    );
  /** What is in the way of a nid is a bad request here. */
  const change = async (work: Promise<void>, status: number): Promise<Answer> => {
    await work.catch((error: unknown) => {
      if (!(error instanceof NetkilnError) || error.code !== "conflict") throw error;
      throw new NetkilnError("invalid_input", error.message, { hint: error.hint });
    });
    return answer(status);
  };

  return [
    operation({
      id: "doComponentsGet",
      method: "GET",
      path: base,
      query: componentsQuerySchema,
      run: async ({ query }) => list({ ...toFilter(query), xnames: query.id }, query),
    }),
    operation({
      id: "doComponentsPost",
      method: "POST",
      path: base,
      body: postComponentsSchema,
      run: async ({ body }) => change(components.create(body.Components.map(toInput), { force: body.Force }), 204),
    }),
    operation({
      id: "doComponentsDeleteAll",
      method: "DELETE",
      path: base,
      run: async () => deleted(await components.removeAll()),
    }),
    operation({
      id: "doComponentsQueryPost",
      method: "POST",
      path: `${base}/Query`,
      body: queryBodySchema,
      run: async ({ body }) => list({ ...toFilter(body), within: allUnless(body.ComponentIDs) }, body),
    }),
    operation({
      id: "doComponentQueryGet",
      method: "GET",
      path: `${base}/Query/{xname}`,
      query: withinQuerySchema,
      run: async ({ params, query }) => {
        const { xname = "" } = params;
        const names = xname === "all" || xname === "s0" ? [xname] : [xnameOf(xname)];
        return list({ ...toFilter(query), within: allUnless(names) }, query);
      },
    }),
    operation({
      id: "doComponentByNIDQueryPost",
      method: "POST",
      path: `${base}/ByNID/Query`,
      body: nidQuerySchema,
      run: async ({ body }) => list({ nids: body.NIDRanges, partition: body.partition }, body),
    }),
    operation({
      id: "doComponentByNIDGet",
      method: "GET",
      path: `${base}/ByNID/{nid}`,
      run: async ({ params }) => {
        const { nid = "" } = params;
        if (!/^\d{1,9}$/.test(nid)) throw new NetkilnError("invalid_input", `invalid NID '${nid}'`);
        const component = await components.getByNid(Number(nid));
        if (component === undefined) throw new NetkilnError("not_found", `no such NID: ${nid}`);
        return answer(200, printComponent(component));
      },
    }),
    operation({
      id: "doComponentGet",
      method: "GET",
      path: `${base}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        const component = await components.get(xname);
        if (component === undefined) throw noSuch(xname);
        return answer(200, printComponent(component));
      },
    }),
    operation({
      id: "doComponentPut",
      method: "PUT",
      path: `${base}/{xname}`,
      body: putComponentSchema,
      run: async ({ params, body }) => {
        const xname = xnameOf(params["xname"]);
        const { ID = xname, ...said } = body.Component;
        if (ID !== xname) throw new NetkilnError("invalid_input", `the path names ${xname}, but the body ${ID}`);
        return change(components.create([toInput({ ID, ...said })], { force: body.Force }), 204);
      },
    }),
    operation({
      id: "doComponentDelete",
      method: "DELETE",
      path: `${base}/{xname}`,
      run: async ({ params }) => {
        const xname = xnameOf(params["xname"]);
        if (!(await components.remove(xname))) throw noSuch(xname);
        return deleted(1);
      },
    }),
    ...changes(components, change),
    operation({
      id: "doCompArrayNIDPatch",
      method: "PATCH",
      path: `${base}/BulkNID`,
      body: bulkNidSchema,
      run: async ({ body }) =>
        change(components.changeNids(new Map(body.Components.map((one) => [one.ID, one.NID]))), 204),
    }),
    operation({
      id: "doCompNIDPatch",
      method: "PATCH",
      path: `${base}/{xname}/NID`,
      body: nidPatchSchema,
      run: async ({ params, body }) =>
        change(components.changeNids(new Map([[xnameOf(params["xname"]), body.NID]])), 200),
    }),
  ];
}

function allUnless(names: readonly string[]): readonly string[] | undefined {
  return names.some((name) => name === "all" || name === "s0") ? undefined : names;
}

type Said = { [Name in keyof typeof patches]: z.output<z.ZodObject<(typeof patches)[Name]>> };

const toChange: { [Name in keyof Said]: (said: Said[Name]) => Partial<ComponentState> } = {
  StateData: ({ State, Flag }) => ({ state: State, flag: Flag }),
  FlagOnly: ({ Flag }) => ({ flag: Flag }),
  Enabled: ({ Enabled }) => ({ enabled: Enabled }),
  SoftwareStatus: ({ SoftwareStatus }) => ({ softwareStatus: SoftwareStatus === "" ? undefined : SoftwareStatus }),
  Role: ({ Role, SubRole }) => ({ role: Role, subRole: SubRole }),
};

type Many = z.output<z.ZodObject<typeof manyOf>>;

/** As the contract names them, of many and of one. */
const changeIds: { readonly [Name in keyof Said]: readonly [string, string] } = {
  StateData: ["doCompBulkStateDataPatch", "doCompStatePatch"],
  FlagOnly: ["doCompBulkFlagOnlyPatch", "doCompFlagOnlyPatch"],
  Enabled: ["doCompBulkEnabledPatch", "doCompEnabledPatch"],
  SoftwareStatus: ["doCompBulkSwStatusPatch", "doCompSwStatusPatch"],
  Role: ["doCompBulkRolePatch", "doCompRolePatch"],
};

function changes(
  components: ComponentStore,
  change: (work: Promise<void>, status: number) => Promise<Answer>,
): Operation[] {
  const pair = <Name extends keyof Said>(name: Name): Operation[] => {
    const [bulk, single] = changeIds[name];
    const read = (said: unknown) => toChange[name](said as Said[Name]);
    return [
      operation({
        id: bulk,
        method: "PATCH",
        path: `${base}/Bulk${name}`,
        body: folded({ ...patches[name], ...manyOf }),
        run: async ({ body }) => change(components.change((body as Many).ComponentIDs, read(body)), 204),
      }),
      operation({
        id: single,
        method: "PATCH",
        path: `${base}/{xname}/${name}`,
        body: folded(patches[name]),
        // The contract has another status for the role than for the rest.
        run: async ({ params, body }) =>
          change(components.change([xnameOf(params["xname"])], read(body)), name === "Role" ? 200 : 204),
      }),
    ];
  };
  return [...pair("StateData"), ...pair("FlagOnly"), ...pair("Enabled"), ...pair("SoftwareStatus"), ...pair("Role")];
}

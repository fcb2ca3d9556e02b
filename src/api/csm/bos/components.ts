import { z } from "zod";
import { NetkilnError } from "../../../lib/errors.ts";
import { parseAs } from "../../../lib/parse.ts";
import {
  noSuchComponent,
  requireReportable,
  type BootComponentStore,
  type Component,
  type ComponentFilter,
  type SessionStore,
} from "../../../orchestration/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Answer, type Operation } from "../../service.ts";
import { printComponent, toChange } from "./component-wire.ts";
import {
  applyStagedSchema,
  componentSchema,
  componentsQuerySchema,
  componentsSchema,
  componentsUpdateSchema,
  skipQuerySchema,
} from "./schema.ts";

export interface ComponentsParts {
  readonly bootComponents: BootComponentStore;
  readonly sessions: SessionStore;
  /** Has the reconciler look at once. */
  readonly wake: () => void;
}

const path = "/v2/components";

/** 10,000 components with all that can be said of them. */
const bulkBytes = 128 << 20;

export function componentOperations(parts: ComponentsParts): Operation[] {
  const { bootComponents: components, sessions, wake } = parts;
  const changed = async (work: Promise<Component[]>): Promise<Answer> => {
    const all = await work;
    wake();
    return answer(200, all.map(printComponent));
  };
  return [
    operation({
      id: "get_v2_components",
      method: "GET",
      path,
      query: componentsQuerySchema,
      run: async ({ query }) => listComponents(components, query),
    }),
    operation({
      id: "put_v2_components",
      method: "PUT",
      path,
      body: componentsSchema,
      bodyLimit: bulkBytes,
      run: async ({ body }) =>
        changed(components.put(new Map(body.map(({ id, ...component }) => [id, toChange(component)])))),
    }),
    operation({
      id: "patch_v2_components",
      method: "PATCH",
      path,
      query: skipQuerySchema,
      body: z.unknown(),
      bodyLimit: bulkBytes,
      run: async ({ body, query }) =>
        changed(changeMany(components, body, { skipMissing: query.skip_bad_ids === true })),
    }),
    operation({
      id: "post_v2_apply_staged",
      method: "POST",
      path: "/v2/applystaged",
      body: applyStagedSchema,
      run: async ({ body }) => {
        const applied = await sessions.applyStaged(body.xnames);
        wake();
        return answer(200, applied);
      },
    }),
    ...singleOperations(parts),
  ];
}

function singleOperations({ bootComponents: components, wake }: ComponentsParts): Operation[] {
  const one = `${path}/{component_id}`;
  type Asked = { params: Readonly<Record<string, string>> };
  const idOf = ({ params }: Asked) => params["component_id"] ?? "";
  const find = async (id: string) => {
    const component = await components.find(id);
    if (component === undefined) throw noSuchComponent(id);
    return component;
  };
  const shown = async (work: Promise<Component[]>): Promise<Answer> => {
    const [component] = await work;
    wake();
    return answer(200, component && printComponent(component));
  };
  return [
    operation({
      id: "get_v2_component",
      method: "GET",
      path: one,
      run: async (asked) => answer(200, printComponent(await find(idOf(asked)))),
    }),
    operation({
      id: "put_v2_component",
      method: "PUT",
      path: one,
      body: componentSchema,
      run: async (asked) => shown(components.put(new Map([[idOf(asked), toChange(asked.body)]]))),
    }),
    operation({
      id: "patch_v2_component",
      method: "PATCH",
      path: one,
      body: componentSchema,
      run: async (asked) => {
        const id = idOf(asked);
        if (asked.body.actual_state !== undefined) requireReportable(await find(id));
        return shown(components.change(new Map([[id, toChange(asked.body)]])));
      },
    }),
    operation({
      id: "delete_v2_component",
      method: "DELETE",
      path: one,
      run: async (asked) => {
        const id = idOf(asked);
        if (!(await components.remove(id))) throw noSuchComponent(id);
        return answer(204);
      },
    }),
  ];
}

type Query = z.output<typeof componentsQuerySchema>;

async function listComponents(components: BootComponentStore, query: Query): Promise<Answer> {
  const filter = toFilter(query);
  let left = query.page_size === undefined || query.page_size === 0 ? Number.POSITIVE_INFINITY : query.page_size;
  return streamList(
    async ({ after = query.start_after_id, limit }) => {
      const rows = left === 0 ? [] : await components.list({ ...filter, after, limit: Math.min(limit, left) });
      left -= rows.length;
      return rows;
    },
    ({ xname }) => xname,
    printComponent,
  );
}

/** What is empty does not count. */
function toFilter({ ids, session, staged_session, enabled, phase, status }: Query): ComponentFilter {
  return {
    ids: ids ? ids.split(",") : undefined,
    session: session || undefined,
    stagedSession: staged_session || undefined,
    active: enabled,
    phase: phase || undefined,
    status: status === undefined || status === "" ? undefined : status.split(","),
  };
}

/** A list says it of each, `{patch, filters}` the same of many. */
async function changeMany(
  components: BootComponentStore,
  body: unknown,
  options: { skipMissing: boolean },
): Promise<Component[]> {
  if (Array.isArray(body)) {
    const list = parseAs(componentsSchema, body, "the request's body");
    return components.change(new Map(list.map(({ id, ...component }) => [id, toChange(component)])), options);
  }
  if (body === undefined || body === null) throw new NetkilnError("invalid_input", "the request has no body");
  const { patch, filters } = parseAs(componentsUpdateSchema, body, "the request's body");
  const { id: _id, ...component } = patch;
  const change = toChange(component);
  if (filters.ids === undefined || filters.ids === null || filters.ids === "") {
    return components.changeOfSession(filters.session ?? "", change);
  }
  return components.change(new Map(filters.ids.split(",").map((id) => [id, change])), options);
}

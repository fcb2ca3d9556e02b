import { z } from "zod";
import type {
  AppliedLayer,
  ComponentChange,
  ComponentFilter,
  ConfigurationOptionStore,
  ConfiguredComponent,
  ConfiguredComponentStore,
  DesiredLayer,
} from "../../../configuration/index.ts";
import { timestamp } from "../../../lib/clock.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { parseAs } from "../../../lib/parse.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { bareList, pageOf } from "./lists.ts";
import { print, readerOf, type Value, type Version } from "./members.ts";
import {
  componentId,
  componentMembers,
  componentQuerySchemas,
  componentsUpdateMembers,
  filterSchema,
  pageSchema,
} from "./schema.ts";

export interface ComponentsParts {
  readonly configuredComponents: ConfiguredComponentStore;
  readonly configurationOptions: ConfigurationOptionStore;
}

type WireComponent = Value<typeof componentMembers>;
type WireState = NonNullable<WireComponent["state"]>[number];

interface Details {
  readonly state: boolean;
  readonly desired: boolean;
}

export function componentOperations(parts: ComponentsParts, version: Version): Operation[] {
  const path = `/${version}/components`;
  return [...bulkOperations(parts, version, path), ...singleOperations(parts, version, `${path}/{component_id}`)];
}

/** 10,000 components with the state of ten layers each. */
const bulkBytes = 64 << 20;

function bulkOperations(parts: ComponentsParts, version: Version, path: string): Operation[] {
  const { configuredComponents: components, configurationOptions } = parts;
  const component = readerOf(componentMembers, version);
  const update = readerOf(componentsUpdateMembers, version, { open: true });
  const written = async (all: readonly ConfiguredComponent[]) =>
    version === "v3" ? { component_ids: all.map(({ id }) => id) } : printAll(parts, all, version, whole);
  return [
    operation({
      id: `get_components_${version}`,
      method: "GET",
      path,
      query: componentQuerySchemas[version].and(pageSchema),
      run: async ({ query }) => {
        const { ids, status, enabled, config_name, tags, state_details, config_details } = query;
        const { defaultPageSize } = await configurationOptions.get();
        const filter = { ids, status, enabled, configuration: config_name || undefined, tags };
        const page = await pageOf(version === "v3" ? query : {}, defaultPageSize, (limit, after) =>
          components.list({ ...filter, limit, after }),
        );
        const items = version === "v3" ? page.items : bareList(page);
        const printed = await printAll(parts, items, version, { state: state_details, desired: config_details });
        if (version === "v2") return answer(200, printed);
        const filters = {
          ...{ ids: ids?.join(","), status: status?.join(","), enabled, config_name, state_details, config_details },
          tags: tags?.map((pair) => pair.join("=")).join(","),
        };
        return answer(200, { components: printed, next: page.next(({ id }) => id, filters) });
      },
    }),
    operation({
      id: `put_components_${version}`,
      method: "PUT",
      path,
      body: z.array(component),
      bodyLimit: bulkBytes,
      run: async ({ body }) => answer(200, await written(await components.put(changesOf(body)))),
    }),
    operation({
      id: `patch_components_${version}`,
      method: "PATCH",
      path,
      body: z.unknown(),
      bodyLimit: bulkBytes,
      run: async ({ body }) => {
        if (Array.isArray(body)) {
          const list = parseAs(z.array(component), body, "the request's body");
          return answer(200, await written(await components.change(changesOf(list))));
        }
        const { patch = {}, filters = {} } = parseAs(update, body, "the request's body");
        const ids = await components.changeWhere(toFilter(filters), toChange(patch));
        // v3 needs no more than the ids, and there may be very many.
        if (version === "v3") return answer(200, { component_ids: ids });
        return answer(200, await written(await components.list({ ids, limit: ids.length })));
      },
    }),
  ];
}

function singleOperations(parts: ComponentsParts, version: Version, path: string): Operation[] {
  const { configuredComponents: components } = parts;
  const body = readerOf(componentMembers, version);
  const idOf = (params: Readonly<Record<string, string>>) => params["component_id"] ?? "";
  const shown = async (all: readonly ConfiguredComponent[], details = whole) =>
    answer(200, (await printAll(parts, all, version, details))[0]);
  const missing = (id: string) => new NetkilnError("not_found", `Component ${id} could not be found`);
  return [
    operation({
      id: `get_component_${version}`,
      method: "GET",
      path,
      query: componentQuerySchemas[version],
      run: async ({ params, query }) => {
        const component = await components.find(idOf(params));
        if (component === undefined) throw missing(idOf(params));
        return shown([component], { state: query.state_details, desired: query.config_details });
      },
    }),
    operation({
      id: `put_component_${version}`,
      method: "PUT",
      path,
      body,
      run: async ({ params, body }) => {
        const id = parseAs(componentId, idOf(params), "the component's id");
        return shown(await components.put(new Map([[id, toChange(body)]])));
      },
    }),
    operation({
      id: `patch_component_${version}`,
      method: "PATCH",
      path,
      body,
      run: async ({ params, body }) => shown(await components.change(new Map([[idOf(params), toChange(body)]]))),
    }),
    operation({
      id: `delete_component_${version}`,
      method: "DELETE",
      path,
      run: async ({ params }) => {
        if (!(await components.remove(idOf(params)))) throw missing(idOf(params));
        return answer(204);
      },
    }),
  ];
}

/** What is answered to a change. */
const whole: Details = { state: true, desired: false };

function changesOf(body: readonly WireComponent[]): ReadonlyMap<string, ComponentChange> {
  return new Map(
    body.map((component, index) => {
      if (component.id === undefined) throw new NetkilnError("invalid_input", `component ${index} has no id`);
      return [component.id, toChange(component)];
    }),
  );
}

function toFilter(given: NonNullable<Value<typeof componentsUpdateMembers>["filters"]>): ComponentFilter {
  const { status, enabled, config_name } = given;
  const { ids, tags } = parseAs(filterSchema, { ids: given.ids, tags: given.tags }, "the filter");
  return {
    ...{ ids, tags, enabled },
    status: status === undefined || status === "" ? undefined : [status],
    configuration: config_name === "" ? undefined : config_name,
  };
}

function toChange({ state, state_append, ...given }: WireComponent): ComponentChange {
  const { desired_config, error_count, retry_policy, enabled, tags } = given;
  return {
    ...(desired_config !== undefined && { desiredConfig: desired_config }),
    ...(error_count !== undefined && { errorCount: error_count }),
    ...(retry_policy !== undefined && { retryPolicy: retry_policy }),
    ...(enabled !== undefined && { enabled }),
    ...(tags !== undefined && { tags }),
    ...(state !== undefined && { state: state.map(toApplied) }),
    ...(state_append !== undefined && { stateAppend: toApplied(state_append) }),
  };
}

function toApplied({ clone_url = "", playbook = "", commit = "", status, session_name = "" }: WireState): AppliedLayer {
  const [hash = "", behind] = commit.split("_") as [string, AppliedLayer["status"]?];
  return {
    url: clone_url,
    playbook,
    commit: hash,
    status: status ?? behind ?? "applied",
    lastUpdated: timestamp(),
    sessionName: session_name,
  };
}

async function printAll(
  { configuredComponents: components }: ComponentsParts,
  all: readonly ConfiguredComponent[],
  version: Version,
  details: Details,
): Promise<Record<string, unknown>[]> {
  const printed: Record<string, unknown>[] = [];
  for (const component of all) {
    const desired = details.desired ? await components.desired(component) : undefined;
    const wire = toWire(component, version, details.state, desired);
    printed.push(print(componentMembers, wire, version));
  }
  return printed;
}

function toWire(
  { id, desiredConfig, state, enabled, errorCount, retryPolicy, tags, status }: ConfiguredComponent,
  version: Version,
  withState: boolean,
  desired: readonly DesiredLayer[] | undefined,
): WireComponent {
  return {
    id,
    ...(withState && { state: state.map((layer) => toWireState(layer, version)) }),
    ...(desired !== undefined && { desired_state: desired.map(toWireDesired) }),
    desired_config: desiredConfig,
    error_count: errorCount,
    ...(retryPolicy !== undefined && { retry_policy: retryPolicy }),
    enabled,
    configuration_status: status,
    tags,
  };
}

function toWireState(
  { url, playbook, commit, status, lastUpdated, sessionName }: AppliedLayer,
  version: Version,
): WireState {
  return {
    clone_url: url,
    playbook,
    commit: version === "v2" && status !== "applied" ? `${commit}_${status}` : commit,
    status,
    last_updated: lastUpdated,
    session_name: sessionName,
  };
}

function toWireDesired({ url, playbook, commit, status, applied }: DesiredLayer) {
  return {
    clone_url: url,
    playbook,
    commit,
    status,
    last_updated: applied?.lastUpdated ?? "",
    session_name: applied?.sessionName ?? "",
  };
}

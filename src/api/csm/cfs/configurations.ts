import {
  pinConfiguration,
  renewPins,
  type Configuration,
  type ConfigurationOptionStore,
  type ConfigurationStore,
  type GitStore,
  type Layer,
  type PinnedRepository,
  type SourceStore,
  type WantedConfiguration,
  type WantedRepository,
} from "../../../configuration/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { bareList, pageOf } from "./lists.ts";
import { print, readerOf, type Value, type Version } from "./members.ts";
import { configurationMembers, dropSchema, inUseSchema, pageSchema, type layerMembers } from "./schema.ts";

export interface ConfigurationsParts {
  readonly configurations: ConfigurationStore;
  readonly sources: SourceStore;
  readonly configurationOptions: ConfigurationOptionStore;
  readonly git: GitStore;
}

/** v3 has no configurations with longer names. */
const longestName = 60;

export function configurationOperations(parts: ConfigurationsParts, version: Version): Operation[] {
  const { configurations, configurationOptions } = parts;
  const path = `/${version}/configurations`;
  const one = `${path}/{configuration_id}`;
  const shown = (configuration: Configuration) => print(configurationMembers, toWire(configuration, version), version);
  return [
    operation({
      id: `get_configurations_${version}`,
      method: "GET",
      path,
      query: inUseSchema.extend(pageSchema.shape),
      tenants: true,
      run: async ({ query, tenant }) => {
        const { defaultPageSize } = await configurationOptions.get();
        const { in_use } = query;
        const page = await pageOf(version === "v3" ? query : {}, defaultPageSize, (limit, after) =>
          configurations.list({ limit, after, inUse: in_use, tenant }),
        );
        if (version === "v2") return answer(200, bareList(page).map(shown));
        const next = page.next((last) => last.name, { in_use });
        return answer(200, { configurations: page.items.map(shown), next });
      },
    }),
    operation({
      id: `get_configuration_${version}`,
      method: "GET",
      path: one,
      tenants: true,
      run: async ({ params, tenant }) => answer(200, shown(await owned(parts, params, tenant))),
    }),
    operation({
      id: `put_configuration_${version}`,
      method: "PUT",
      path: one,
      query: dropSchema,
      body: readerOf(configurationMembers, version),
      tenants: true,
      run: async ({ params, query, body, tenant }) => {
        const name = nameOf(params);
        if (version === "v3" && name.length > longestName) {
          throw new NetkilnError("invalid_input", `the name is longer than ${longestName} characters`);
        }
        refuseOthers(await configurations.find(name), tenant);
        const { defaultPlaybook } = await configurationOptions.get();
        const wanted = toWanted(body, defaultPlaybook, tenant);
        const content = await pinConfiguration(wanted, parts, { dropBranches: query.drop_branches });
        // Looking commits up takes its time, and somebody else may have taken the name meanwhile.
        refuseOthers(await configurations.find(name), tenant);
        return answer(200, shown((await configurations.put(name, content)).configuration));
      },
    }),
    operation({
      id: `patch_configuration_${version}`,
      method: "PATCH",
      path: one,
      tenants: true,
      run: async ({ params, tenant }) => {
        const content = await renewPins(await owned(parts, params, tenant), parts);
        await owned(parts, params, tenant);
        return answer(200, shown((await configurations.put(nameOf(params), content)).configuration));
      },
    }),
    operation({
      id: `delete_configuration_${version}`,
      method: "DELETE",
      path: one,
      tenants: true,
      run: async ({ params, tenant }) => {
        await configurations.delete((await owned(parts, params, tenant)).name).catch(asBadRequest);
        return answer(204);
      },
    }),
  ];
}

/** CFS answers 400 where something is in use. */
function asBadRequest(error: unknown): never {
  if (!(error instanceof NetkilnError) || error.code !== "conflict") throw error;
  throw new NetkilnError("invalid_input", error.message, error);
}

function nameOf(params: Readonly<Record<string, string>>): string {
  return params["configuration_id"] ?? "";
}

/** Who asks on behalf of a tenant sees and changes only what is the tenant's. */
function refuseOthers(configuration: Configuration | undefined, tenant: string | undefined): void {
  if (configuration === undefined || tenant === undefined || configuration.tenant === tenant) return;
  throw new NetkilnError("refused", `Configuration ${configuration.name} is not owned by tenant ${tenant}`);
}

async function owned(
  { configurations }: ConfigurationsParts,
  params: Readonly<Record<string, string>>,
  tenant: string | undefined,
): Promise<Configuration> {
  const name = nameOf(params);
  const configuration = await configurations.find(name);
  if (configuration === undefined) {
    throw new NetkilnError("not_found", `Configuration ${name} could not be found`);
  }
  refuseOthers(configuration, tenant);
  return configuration;
}

type WireConfiguration = Value<typeof configurationMembers>;
type WireLayer = Value<typeof layerMembers>;
type WireRepository = Omit<WireLayer, "playbook" | "special_parameters">;

function toWanted(
  { description, tenant_name, layers = [], additional_inventory }: WireConfiguration,
  defaultPlaybook: string,
  tenant = tenant_name,
): WantedConfiguration {
  return {
    ...(description !== undefined && { description }),
    ...(tenant !== undefined && tenant !== "" && { tenant }),
    layers: layers.map(({ playbook = defaultPlaybook, special_parameters, ...repository }) => ({
      ...toWantedRepository(repository),
      playbook,
      ...(special_parameters?.ims_require_dkms !== undefined && {
        specialParameters: { imsRequireDkms: special_parameters.ims_require_dkms },
      }),
    })),
    ...(additional_inventory !== undefined && { additionalInventory: toWantedRepository(additional_inventory) }),
  };
}

function toWantedRepository({ clone_url, ...rest }: WireRepository): WantedRepository {
  return { ...rest, ...(clone_url !== undefined && { url: clone_url }) };
}

function toWire(configuration: Configuration, version: Version): WireConfiguration {
  const { name, description, tenant, lastUpdated, layers, additionalInventory } = configuration;
  return {
    name,
    last_updated: lastUpdated,
    ...(description !== undefined && { description }),
    ...(tenant !== undefined && { tenant_name: tenant }),
    layers: layers.map((layer) => toWireLayer(layer, version)),
    ...(additionalInventory !== undefined && { additional_inventory: toWireRepository(additionalInventory, version) }),
  };
}

function toWireLayer({ playbook, specialParameters, ...repository }: Layer, version: Version): WireLayer {
  const dkms = specialParameters?.imsRequireDkms;
  return {
    ...toWireRepository(repository, version),
    playbook,
    ...(dkms !== undefined && { special_parameters: { ims_require_dkms: dkms } }),
  };
}

/** A layer has a source or a URL, never both; v2 knows no sources. */
function toWireRepository({ name, url, commit, branch, source }: PinnedRepository, version: Version): WireRepository {
  return {
    ...(name !== undefined && { name }),
    ...(source !== undefined && version === "v3" ? { source } : { clone_url: url }),
    commit,
    ...(branch !== undefined && { branch }),
  };
}

import { sha256 } from "../../lib/files.ts";
import { formatYaml } from "../../lib/yaml.ts";
import type { Node } from "../../node/index.ts";
import type { NodeSettings } from "./store.ts";
import type { ClusterDefaults, GroupFile } from "./types.ts";

/** A configuration that says nothing; cloud-init warns of a part without any text. */
export const emptyCloudConfig = "#cloud-config\n";

/**
 * The meta-data of a node: what cloud-init itself reads of it, and below `instance_data` what templates of groups read
 * (`ds.meta_data.instance_data.v1...`). What is not known is left out, apart from the first four.
 */
export function metaDataOf(node: Node, settings: NodeSettings, baseUrl: string): Readonly<Record<string, unknown>> {
  const { defaults, instance } = settings;
  const generated = hostnameOf(node, defaults);
  const names = {
    instanceId: instance.instanceId ?? instanceIdOf(node.xname),
    localHostname: instance.localHostname ?? generated,
    hostname: instance.hostname ?? generated,
    clusterName: instance.clusterName ?? defaults.clusterName ?? "",
  };
  return {
    "instance-id": names.instanceId,
    "local-hostname": names.localHostname,
    hostname: names.hostname,
    "cluster-name": names.clusterName,
    instance_data: {
      v1: known({
        availability_zone: instance.availabilityZone ?? defaults.availabilityZone,
        cloud_provider: instance.cloudProvider ?? defaults.cloudProvider,
        instance_id: names.instanceId,
        instance_type: instance.instanceType,
        local_hostname: names.localHostname,
        hostname: names.hostname,
        region: instance.region ?? defaults.region,
        local_ipv4: node.interfaces.find(({ ip }) => ip !== undefined)?.ip,
        public_keys: [...(defaults.publicKeys ?? []), ...(instance.publicKeys ?? [])],
        vendor_data: vendorFactsOf(node, settings, { clusterName: names.clusterName, baseUrl }),
      }),
    },
  };
}

function vendorFactsOf(
  node: Node,
  { groups }: NodeSettings,
  { clusterName, baseUrl }: { clusterName: string; baseUrl: string },
): object {
  return known({
    version: "1.0",
    cloud_init_base_url: baseUrl,
    nid: node.nid,
    role: node.role,
    sub_role: node.subRole,
    cabinet: /^x\d+/.exec(node.xname)?.[0],
    location: node.xname,
    cluster_name: clusterName,
    groups: Object.fromEntries(
      node.groups.map((label) => {
        const { description, metaData } = groups.get(label) ?? {};
        return [label, { Description: description || "No description Found", ...metaData }];
      }),
    ),
  });
}

function known(facts: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined && value !== ""));
}

/** The cluster's short name, or how its name begins, and the nid; netkiln's own alias where it has no name. */
function hostnameOf({ nid, alias }: Node, { shortName, clusterName = "", nidLength }: ClusterDefaults): string {
  const prefix = shortName ?? clusterName.slice(0, 2);
  return prefix === "" ? alias : `${prefix}${String(nid).padStart(nidLength ?? 4, "0")}`;
}

/** The same for every boot and after every restart: a diskless node has nothing that a new id would have made anew. */
export function instanceIdOf(xname: string): string {
  return `i-${sha256(xname).slice(0, 16)}`;
}

/** Sends cloud-init to the files of the node's groups, in the inventory's order; it merges them itself. */
export function vendorDataOf(groups: readonly string[], baseUrl: string): string {
  return ["#include", ...groups.map((label) => `${baseUrl}/${encodeURIComponent(label)}.yaml`), ""].join("\n");
}

/** As cloud-init is to read it, which may be packed. Templates in it are rendered on the node. */
export function groupConfigOf(file: GroupFile | undefined): Buffer {
  const content = Buffer.from(file?.content ?? "", file?.encoding === "base64" ? "base64" : "utf8");
  return content.toString().trim() === "" ? Buffer.from(emptyCloudConfig) : content;
}

export function printCloudConfig(config: Readonly<Record<string, unknown>>): string {
  return Object.keys(config).length === 0 ? emptyCloudConfig : `${emptyCloudConfig}${formatYaml(config)}`;
}

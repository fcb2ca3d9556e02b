import type { Product } from "../../catalog/index.ts";
import { formatYaml } from "../../lib/yaml.ts";
import { namespace, type KubernetesObject } from "./objects.ts";

export interface ConfigMap extends KubernetesObject {
  readonly data: Readonly<Record<string, string>>;
}

const catalogName = "cray-product-catalog";

/** What CSM keeps of a product in a ConfigMap of its own, as all of it would not fit into one. */
const ownMember = "component_versions";

/**
 * The product catalog as CSM keeps it in Kubernetes: one ConfigMap with everything but the versions of components, and
 * one for each product with those. Readers put them together again.
 */
export function catalogConfigMaps(products: readonly Product[]): ConfigMap[] {
  const maps = new Map<string, ProductVersions>([[catalogName, new Map()]]);
  for (const { name, version, data } of products) {
    const { [ownMember]: components, ...rest } = data;
    add(maps, catalogName, { name, version, data: rest });
    if (components !== undefined) add(maps, ownName(name), { name, version, data: { [ownMember]: components } });
  }
  return [...maps].map(([name, versions]) => configMap(name, versions));
}

/** By product: what is known, by version. */
type ProductVersions = Map<string, Map<string, unknown>>;

function add(maps: Map<string, ProductVersions>, map: string, { name, version, data }: Product): void {
  const products = maps.get(map) ?? new Map<string, Map<string, unknown>>();
  const versions = products.get(name) ?? new Map<string, unknown>();
  maps.set(map, products.set(name, versions.set(version, data)));
}

/** Names of ConfigMaps have neither capitals nor underscores. */
function ownName(product: string): string {
  return `${catalogName}-${product.replaceAll("_", "-").toLowerCase()}`;
}

function configMap(name: string, products: ProductVersions): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels: { type: catalogName } },
    data: Object.fromEntries([...products].map(([product, versions]) => [product, formatYaml(versions)])),
  };
}

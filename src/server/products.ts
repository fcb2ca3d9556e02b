import { newestRepository, recipeProduct, type Product, type RecipePorts } from "../bootprep/index.ts";
import type { House } from "./open.ts";

/** What a site of CSM has beside the services, as far as bootprep files ask about it. */
export interface Surroundings {
  /** The product catalog. */
  readonly catalog?: { products(): Promise<readonly Product[]> };
  /** How clients reach this server: `https://HOST`. */
  readonly gateway?: string | undefined;
  /** Where repositories are that this server serves, by their path below /vcs. */
  readonly repositories?: Readonly<Record<string, string>>;
}

/** The catalog's versions of products; their repositories are on the gateway, where sat looks for them too. */
export async function findProducts({ catalog, gateway }: Surroundings): Promise<readonly Product[] | undefined> {
  const products = await catalog?.products();
  if (products === undefined || gateway === undefined) return products;
  return products.map((product) => withGateway(product, new URL(gateway)));
}

function withGateway(product: Product, gateway: URL): Product {
  const { configuration } = product.data;
  if (typeof configuration !== "object" || configuration === null || !("clone_url" in configuration)) return product;
  const { clone_url } = configuration;
  if (typeof clone_url !== "string" || !/^https?:/.test(clone_url) || !URL.canParse(clone_url)) return product;
  const url = new URL(clone_url);
  url.protocol = gateway.protocol;
  url.host = gateway.host;
  // Setting a host without a port leaves the old port.
  url.port = gateway.port;
  return { ...product, data: { ...product.data, configuration: { ...configuration, clone_url: url.href } } };
}

/** The HPC software recipe is a repository that is served here, or the one that the catalog names. */
export function recipePorts(house: House, surroundings: Surroundings): RecipePorts {
  const find = async () =>
    surroundings.repositories?.[`cray/${recipeProduct}`] ??
    newestRepository((await findProducts(surroundings)) ?? [], recipeProduct);
  return {
    branches: async () => {
      const url = await find();
      return url === undefined ? undefined : house.git.branches(url);
    },
    read: async (branch, path) => {
      const url = (await find()) ?? "";
      return house.git.read(url, await house.git.resolve(url, { branch }), path);
    },
  };
}

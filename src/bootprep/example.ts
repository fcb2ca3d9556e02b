/** A bootprep file to begin with, made of what is there. */
import type { FoundRecipe, Product } from "./ports.ts";
import { readProduct, type ProductContent } from "./products.ts";
import { currentSchemaVersion } from "./schema-version.ts";
import { newestOf } from "../lib/semver.ts";

/** Layers that are enough to show how they are written. */
const shownLayers = 3;

export interface ExampleParts {
  readonly products: readonly Product[];
  readonly recipes: readonly Pick<FoundRecipe, "name">[];
}

export function bootprepExample({ products, recipes }: ExampleParts): string {
  const newest = newestProducts(products);
  const layers = newest.filter(({ content }) => content.cloneUrl !== undefined).slice(0, shownLayers);
  return `# What to edit: names, layers, playbooks and the base of the image. To see what it would do:
#   netkiln bootprep run --dry-run FILE
schema_version: ${currentSchemaVersion}

configurations:
- name: compute-example
  layers:
${(layers.length > 0 ? layers.map(productLayer) : [gitLayer]).join("\n")}

images:
- name: "{{base.name}}-example"
  ref_name: compute
  base:
${baseOf(newest, recipes)}
  configuration: compute-example
  configuration_group_names: [Compute]

session_templates:
- name: "{{image.name}}"
  image: {image_ref: compute}
  configuration: compute-example
  bos_parameters:
    boot_sets:
      compute:
        arch: X86
        kernel_parameters: ip=dhcp quiet
        node_roles_groups: [Compute]
`;
}

interface Newest {
  readonly product: Product;
  readonly content: ProductContent;
}

function newestProducts(products: readonly Product[]): readonly Newest[] {
  const names = [...new Set(products.map(({ name }) => name))].toSorted();
  return names.flatMap((name) => {
    const product = newestOf(
      products.filter((candidate) => candidate.name === name),
      ({ version }) => version,
    );
    const content = product && readProduct(product);
    return product === undefined || content === undefined ? [] : [{ product, content }];
  });
}

const gitLayer = `  - name: site
    playbook: site.yml
    git: {url: ./ansible, branch: main}`;

function productLayer({ product: { name, version } }: Newest): string {
  return `  - name: ${quoted(name)}
    playbook: site.yml
    product: {name: ${quoted(name)}, version: ${quoted(version)}}`;
}

function baseOf(newest: readonly Newest[], recipes: ExampleParts["recipes"]): string {
  const [recipe] = recipes;
  const provider = newest.find(({ content }) => content.recipes.length > 0);
  const [provided] = provider?.content.recipes ?? [];
  if (provider === undefined || provided === undefined) {
    return `    ims: {type: recipe, name: ${quoted(recipe?.name ?? "barebones")}}`;
  }
  const { name, version } = provider.product;
  return `    product:
      name: ${quoted(name)}
      version: ${quoted(version)}
      type: recipe
      filter: {prefix: ${quoted(provided.name)}}`;
}

/** JSON's strings are YAML's, too. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

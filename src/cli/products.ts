import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Product } from "../catalog/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { countOf } from "../lib/text.ts";
import { addNoun, type OpenSession } from "./command.ts";
import { paint, printFields, printJson, type Output } from "./output.ts";
import { readYamlFile } from "./yaml-file.ts";

type Warned<T> = T & { readonly warnings: readonly string[] };

/** Adds `products`: the product catalog, where bootprep files look up what `product:` names. */
export function addProducts(program: Command, open: OpenSession): void {
  const products = addNoun<Product>(program, open, {
    name: "products",
    summary: "the product catalog: versions of products, with their recipes, images and playbooks",
    columns: [
      ["PRODUCT", ({ name, version }) => `${name}:${version}`],
      ["ACTIVE", ({ data: { active } }) => (active === undefined ? "" : active ? "yes" : "no")],
      ["RECIPES", ({ data }) => String(Object.keys(data.recipes ?? {}).length)],
      ["IMAGES", ({ data }) => String(Object.keys(data.images ?? {}).length)],
      ["BRANCH", ({ data }) => data.configuration?.import_branch ?? ""],
    ],
    describe: ({ name, version, data }, { output }) => {
      printFields(output, [
        ["product", name],
        ["version", version],
        ["active", data.active === undefined ? undefined : String(data.active)],
        ["playbooks", data.configuration?.clone_url],
        ["branch", data.configuration?.import_branch],
        ["commit", data.configuration?.commit],
      ]);
      for (const [recipe, { id }] of Object.entries(data.recipes ?? {})) output.print(`recipe ${recipe}: ${id ?? "-"}`);
      for (const [image, { id }] of Object.entries(data.images ?? {})) output.print(`image ${image}: ${id ?? "-"}`);
    },
    example: "cos:2.5.97",
    deletable: true,
  });

  const put = products
    .command("put <product>")
    .description("set what is known of a version of a product, from a YAML or JSON file");
  put.requiredOption("-f, --file <file>", "recipes, images, configuration and the rest, as the catalog has them");
  put.addHelpText("after", "\nExample:\n  netkiln products put cos:2.5.97 -f cos.yaml");
  put.action(async (name: string, { file }: { file: string }) => {
    const { client, output } = open(put);
    const path = `/products/${encodeURIComponent(name)}`;
    const product = await client.send<Warned<Product>>("PUT", path, await readYamlFile(file));
    if (output.json) return printJson(output, product);
    warn(product.warnings, output);
    output.print(`product ${product.name}:${product.version} is in the catalog`);
  });

  const take = products
    .command("import <file>")
    .description("take in a catalog: product names with their versions, or ConfigMaps as kubectl prints them");
  take.addHelpText(
    "after",
    "\nExample:\n  kubectl get -n services cm -l type=cray-product-catalog -o yaml > catalog.yaml" +
      "\n  netkiln products import catalog.yaml",
  );
  take.action(async (file: string) => {
    const { client, output } = open(take);
    const text = await read(file);
    const taken = await client.send<Warned<{ products: Product[] }>>("POST", "/products", { file, text });
    if (output.json) return printJson(output, taken);
    warn(taken.warnings, output);
    output.print(`${countOf(taken.products.length, "version")} of products taken in`);
  });
}

async function read(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => {
    throw new NetkilnError("invalid_input", `${file} cannot be read`);
  });
}

function warn(warnings: readonly string[], output: Output): void {
  for (const warning of warnings) output.warn(`${paint(output, "yellow", "warning:")} ${warning}`);
}

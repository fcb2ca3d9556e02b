import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { countOf } from "../lib/text.ts";
import { checkYaml, parseYaml } from "../lib/yaml.ts";

/*
 * What CSM's product catalog keeps about a version of a product (cray-product-catalog, schema.yaml). Members that it
 * does not name are kept too: products add their own.
 */
const versioned = z.looseObject({ name: z.string(), version: z.string() });
const repository = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("hosted"), name: z.string() }),
  z.looseObject({ type: z.literal("group"), name: z.string(), members: z.array(z.string()) }),
]);
const resources = z.record(z.string(), z.looseObject({ id: z.string().optional() })).optional();

export const productDataSchema = z.looseObject({
  active: z.boolean().optional(),
  component_versions: z
    .looseObject({
      docker: z.array(versioned).optional(),
      helm: z.array(versioned).optional(),
      rpm: z.array(versioned).optional(),
      repositories: z.array(repository).optional(),
      s3: z.array(z.looseObject({ bucket: z.string().min(1), key: z.string().min(1) })).optional(),
      manifests: z.array(z.string().min(1)).optional(),
    })
    .optional(),
  /** Where the playbooks of the product are. */
  configuration: z
    .looseObject({
      clone_url: z.string().optional(),
      ssh_url: z.string().optional(),
      commit: z.string().optional(),
      import_branch: z.string().optional(),
    })
    .optional(),
  /** By name; their ids are those of IMS. */
  images: resources,
  recipes: resources,
});

export type ProductData = z.infer<typeof productDataSchema>;

export interface Product {
  readonly name: string;
  readonly version: string;
  readonly data: ProductData;
}

/** Names are keys of a ConfigMap for those who read the catalog from Kubernetes. */
const namePattern = /^[A-Za-z0-9][\w.-]{0,199}$/;
/** No colon: readers of the catalog put one between name and version. */
const versionPattern = /^[A-Za-z0-9][\w.+~-]{0,199}$/;

const versionsSchema = z.record(
  z.string().regex(versionPattern, "a version holds only letters, digits and . _ + ~ -"),
  productDataSchema,
);

/** In a ConfigMap, the versions of a product are a text that is YAML again. */
const unpackedVersions = z
  .unknown()
  .transform((value, context) => {
    if (typeof value !== "string") return value;
    const inner = parseYaml(value, "");
    for (const { line, message } of inner.problems) {
      context.addIssue({ code: "custom", message: `line ${line} of the text: ${message}` });
    }
    return inner.value;
  })
  .pipe(versionsSchema);

const catalogSchema = z.record(
  z.string().regex(namePattern, "a product's name holds only letters, digits and . _ -"),
  unpackedVersions,
);
const configMapSchema = z.looseObject({ data: catalogSchema.default({}) }).transform(({ data }) => [data]);
const listSchema = z
  .looseObject({ items: z.array(configMapSchema) })
  .transform(({ items }) => items.flatMap((catalogs) => catalogs));
const plainSchema = catalogSchema.transform((catalog) => [catalog]);

/**
 * Reads a catalog: product names with their versions and what is known of each, as it stands in the catalog; or
 * ConfigMaps that hold one, as kubectl prints them. Throws one `invalid_input` with all mistakes.
 */
export function readCatalog(text: string, file: string): readonly Product[] {
  const source = parseYaml(text, file);
  const { kind } = (source.value ?? {}) as { kind?: unknown };
  const schema =
    kind === "ConfigMap" ? configMapSchema : kind === "List" || kind === "ConfigMapList" ? listSchema : plainSchema;
  const { value: catalogs = [], problems } = checkYaml(schema, source);
  if (problems.length > 0) {
    throw new NetkilnError("invalid_input", `${file} has ${countOf(problems.length, "mistake")}`, { problems });
  }
  const products = new Map<string, Product>();
  for (const catalog of catalogs) {
    for (const [name, versions] of Object.entries(catalog)) {
      for (const [version, data] of Object.entries(versions)) {
        // Large parts of a version stand in a ConfigMap of their own.
        const before = products.get(`${name}:${version}`)?.data;
        products.set(`${name}:${version}`, { name, version, data: { ...before, ...data } });
      }
    }
  }
  return [...products.values()];
}

/** Takes `NAME:VERSION` apart. Throws `invalid_input`. */
export function parseProductName(text: string): Pick<Product, "name" | "version"> {
  const [name = "", version = "", ...more] = text.split(":");
  if (more.length === 0 && namePattern.test(name) && versionPattern.test(version)) return { name, version };
  throw new NetkilnError("invalid_input", `"${text}" names no version of a product`, {
    hint: "write it as NAME:VERSION, such as cos:2.5.97",
  });
}

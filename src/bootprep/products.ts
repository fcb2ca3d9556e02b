/** What bootprep files look up in the product catalog: repositories of layers, recipes and images to start from. */
import { newestOf } from "../lib/semver.ts";
import type { FileBase, LayerOrigin, Place, Text } from "./file.ts";
import { matchesWildcard } from "./wildcard.ts";
import type { Planning } from "./planning.ts";
import type { FoundImage, FoundRecipe, Product } from "./ports.ts";
import { productSchema } from "./schema.ts";
import { nearest } from "./shape.ts";

/** Also what a file writes where it names no version. */
export const latestVersion = "latest";

export interface ProductContent {
  readonly cloneUrl?: string;
  readonly commit?: string;
  readonly recipes: readonly NamedId[];
  readonly images: readonly NamedId[];
}

interface NamedId {
  readonly name: string;
  readonly id: string;
}

/** Undefined when the catalog's entry is not as one has to be: it counts for nothing then, as in CSM. */
export function readProduct({ data }: Product): ProductContent | undefined {
  const { success, data: read } = productSchema.safeParse(data);
  if (!success) return undefined;
  const { clone_url, commit } = read.configuration ?? {};
  const named = (resources: typeof read.images): readonly NamedId[] =>
    Object.entries(resources ?? {}).flatMap(([name, entry]) =>
      entry?.id === undefined ? [] : [{ name, id: entry.id }],
    );
  return {
    ...(clone_url !== undefined && { cloneUrl: clone_url }),
    ...(commit !== undefined && { commit }),
    recipes: named(read.recipes),
    images: named(read.images),
  };
}

interface Wanted extends Place {
  readonly name: Text;
  readonly version?: Text;
}

interface FoundProduct extends ProductContent {
  /** Name and version, for messages. */
  readonly label: string;
}

/** The version that is meant, or the mistake is reported. `subject` comes before the message, with its colon. */
async function findProduct(
  planning: Planning,
  { name, version, ...place }: Wanted,
  subject: string,
  otherwise: string,
): Promise<FoundProduct | undefined> {
  const products = await planning.ports.products();
  if (products === undefined) {
    const message = `${subject}product lookups need a product catalog, which this server does not have`;
    return planning.report(place, message, otherwise);
  }
  const versions = products.filter((product) => product.name === name.text);
  if (versions.length === 0) {
    const names = [...new Set(products.map((product) => product.name))];
    const meant = nearest(name.text, names);
    const hint = meant === undefined ? `it has ${listed(names)}` : `did you mean ${meant}?`;
    return planning.report(name, `${subject}the product catalog has no product "${name.text}"`, hint);
  }
  const isLatest = version === undefined || version.text === latestVersion;
  const found = isLatest
    ? newestOf(versions, (product) => product.version)
    : versions.find((product) => product.version === version.text);
  if (found === undefined) {
    const hint = `it has ${listed(versions.map((product) => product.version))}`;
    return planning.report(version ?? name, `${subject}there is no version ${version?.text} of ${name.text}`, hint);
  }
  const label = `${found.name} ${found.version}`;
  const content = readProduct(found);
  if (content !== undefined) return { ...content, label };
  return planning.report(name, `${subject}what the product catalog says of ${label} cannot be read`);
}

/** Repository and reference of a product's layer: the file's branch or commit, or the catalog's commit. */
export async function findProductRepository(
  planning: Planning,
  origin: LayerOrigin & { kind: "product" },
  subject: string,
): Promise<{ readonly url: string; readonly commit: string } | { readonly url: string } | undefined> {
  const product = await findProduct(planning, origin, `${subject}: `, "use git.url");
  if (product === undefined) return undefined;
  const { cloneUrl: url, commit, label } = product;
  if (url === undefined)
    return planning.report(origin.name, `${subject}: the catalog names no repository for ${label}`);
  if (origin.reference !== undefined) return { url };
  if (commit !== undefined) return { url, commit };
  const hint = "add a branch or a commit";
  return planning.report(origin.name, `${subject}: the catalog names no commit for ${label}`, hint);
}

/** The one recipe or image of a product that an image starts from. */
export async function findProductBase(
  planning: Planning,
  base: FileBase & { kind: "product" },
): Promise<FoundRecipe | FoundImage | undefined> {
  const product = await findProduct(planning, base, "", "use base: {ims: {type: recipe or image, name: ...}}");
  if (product === undefined) return undefined;
  const { type, filter } = base;
  const ids = type === "recipe" ? product.recipes : product.images;
  if (ids.length === 0) return planning.report(base, `${product.label} has no ${type}s in the product catalog`);
  const all = await lookUp(planning, type, ids);
  if (all.length === 0) return planning.report(base, `no ${type} of ${product.label} exists here`);
  const { prefix, wildcard, arch } = filter;
  const fitting = all.filter(
    (record) =>
      (prefix === undefined || record.name.startsWith(prefix.text)) &&
      (wildcard === undefined || matchesWildcard(record.name, wildcard.text)) &&
      (arch === undefined || (record.arch ?? defaultArch) === arch.text),
  );
  const [first, ...others] = fitting;
  if (first !== undefined && others.length === 0) return first;
  const named = (records: readonly FoundImage[]) => listed(records.map(({ name }) => name));
  const wanted = describeFilter(filter);
  return first === undefined
    ? planning.report(base, `no ${type} of ${product.label}${wanted}`, `they are ${named(all)}`)
    : planning.report(
        base,
        `there are ${fitting.length} ${type}s of ${product.label}${wanted}`,
        `choose one with filter: ${named(fitting)}`,
      );
}

/** As sat, for what says nothing of it. */
const defaultArch = "x86_64";

/** Those that exist; names are those that they have here, not those of the catalog. */
async function lookUp(
  { ports }: Planning,
  type: "recipe" | "image",
  ids: readonly NamedId[],
): Promise<readonly (FoundRecipe | FoundImage)[]> {
  const found = await Promise.all(
    ids.map(({ id }) => (type === "recipe" ? ports.findRecipes({ id }) : ports.findImages({ id }))),
  );
  return found.flat();
}

function describeFilter({ prefix, wildcard, arch }: (FileBase & { kind: "product" })["filter"]): string {
  const words = [
    ...(prefix === undefined ? [] : [`begins with "${prefix.text}"`]),
    ...(wildcard === undefined ? [] : [`is like "${wildcard.text}"`]),
    ...(arch === undefined ? [] : [`is for ${arch.text}`]),
  ];
  return words.length === 0 ? "" : ` that ${words.join(" and ")}`;
}

const shownNames = 8;

function listed(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  return `${names.slice(0, shownNames).join(", ")}${names.length > shownNames ? ", ..." : ""}`;
}

/** The newest repository that the catalog names for a product; undefined when it names none. */
export function newestRepository(products: readonly Product[], name: string): string | undefined {
  const named = products.filter((product) => product.name === name && readProduct(product)?.cloneUrl !== undefined);
  const newest = newestOf(named, ({ version }) => version);
  return newest && readProduct(newest)?.cloneUrl;
}

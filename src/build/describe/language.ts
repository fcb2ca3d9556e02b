import type { TreeReader } from "../../compliance/index.ts";
import type { Inventory, InventoryFile, InventoryPackage } from "../../image/index.ts";
import { packageJson } from "./schema.ts";

/** Python's core metadata: of a wheel, and of what setuptools and distutils installed before there were wheels. */
const python = /\/(?:[^/]+\.dist-info\/METADATA|[^/]+\.egg-info\/PKG-INFO|[^/]+\.egg-info)$/;
/** An installed npm package; what stands deeper in it is its own affair. */
const node = /\/node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/;

export type LanguagePackages = Pick<Inventory, "packages" | "unread">;

/**
 * Packages of pip and npm, by the metadata that they left in the tree. Those in files that a package of the system
 * owns are a part of that one and not told again. `owned` says whether it is so.
 */
export async function readLanguagePackages(
  tree: TreeReader,
  files: readonly InventoryFile[],
  owned: (path: string) => boolean,
): Promise<LanguagePackages> {
  const packages: InventoryPackage[] = [];
  const unread: Inventory["unread"] = [];
  for (const { path, kind } of files) {
    const read = python.test(path) ? readPython : node.test(path) ? readNode : undefined;
    if (read === undefined || kind !== "file" || owned(path)) continue;
    try {
      packages.push({ ...read((await tree.readText(path)) ?? ""), path });
    } catch (error) {
      unread.push({ path, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { packages, unread };
}

/** Whether a package has metadata of pip or npm, so that it matters who owns the file. */
export function isLanguageMetadata(path: string): boolean {
  return python.test(path) || node.test(path);
}

/** Header lines as in mail (https://packaging.python.org/en/latest/specifications/core-metadata/); then the description. */
function readPython(text: string): InventoryPackage {
  const [head = ""] = text.replaceAll("\r\n", "\n").split("\n\n");
  const field = (name: string) => {
    const found = new RegExp(`^${name}:[ \\t]*(\\S.*?)[ \\t]*$`, "im").exec(head)?.[1];
    return found === "UNKNOWN" ? undefined : found;
  };
  const [name, version] = [field("Name"), field("Version")];
  if (name === undefined || version === undefined) throw new Error("it has no Name or no Version");
  const optional = (key: string, content: string | undefined) => (content === undefined ? {} : { [key]: content });
  // Some put the whole text of the licence there; its first line then says nothing.
  const license = field("License-Expression") ?? (/^License:.*\n[ \t]/im.test(head) ? undefined : field("License"));
  return {
    kind: "pypi",
    name,
    version,
    ...optional("supplier", field("Author") ?? field("Author-email")),
    ...optional("homepage", field("Home-page")),
    ...(license !== undefined && { licenses: [license] }),
  };
}

function readNode(text: string): InventoryPackage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("it is no JSON");
  }
  const result = packageJson.safeParse(value);
  if (!result.success) throw new Error("it has no name or no version");
  const { name, version, homepage, license, author } = result.data;
  return {
    kind: "npm",
    name,
    version,
    ...(author !== undefined && author !== "" && { supplier: author }),
    ...(homepage !== undefined && homepage !== "" && { homepage }),
    ...(license !== undefined && license !== "" && { licenses: [license] }),
  };
}

import { readDpkg, type DpkgStanza, type TreeReader } from "../../compliance/index.ts";
import type { InventoryPackage } from "../../image/index.ts";

/** States of dpkg (dpkg-query(1)) in which a package's files are not in the tree. */
const absent = new Set(["not-installed", "config-files"]);

/** The packages of dpkg's database, in order; undefined when there is none, or nothing in it. */
export async function readDebs(tree: TreeReader): Promise<readonly InventoryPackage[] | undefined> {
  const stanzas = await readDpkg(tree);
  const present = (stanzas ?? []).filter((stanza) => !absent.has((stanza.get("Status") ?? "").split(" ").at(-1) ?? ""));
  const packages = await Promise.all(present.map((stanza) => describe(stanza, tree)));
  const found = packages.filter((entry) => entry !== undefined);
  return found.length === 0 ? undefined : found;
}

async function describe(stanza: DpkgStanza, tree: TreeReader): Promise<InventoryPackage | undefined> {
  const [name, version] = [stanza.get("Package"), stanza.get("Version")];
  if (name === undefined || version === undefined) return undefined;
  const optional = (field: string, content: string | undefined) =>
    content === undefined || content === "" ? {} : { [field]: content };
  const kibibytes = Number(stanza.get("Installed-Size"));
  const licenses = await declaredLicenses(tree, name);
  const source = sourceOf(stanza.get("Source"), name, version);
  return {
    kind: "deb",
    name,
    version,
    ...optional("arch", stanza.get("Architecture")),
    ...(source !== undefined && { source }),
    ...optional("supplier", stanza.get("Maintainer")),
    ...optional("homepage", stanza.get("Homepage")),
    ...optional("section", stanza.get("Section")),
    ...(licenses.length > 0 && { licenses }),
    ...(Number.isInteger(kibibytes) && kibibytes > 0 && { size: kibibytes * 1024 }),
  };
}

/** "NAME" or "NAME (VERSION)", left out where it is the package's own (deb-control(5)). */
function sourceOf(field: string | undefined, name: string, version: string): InventoryPackage["source"] {
  const [, source = name, of = version] = /^(\S+)(?:\s+\((\S+)\))?$/.exec(field ?? "") ?? [];
  return source === name && of === version ? undefined : { name: source, version: of };
}

/**
 * The short names of the licences in a package's copyright file, when it has Debian's machine-readable form
 * (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/); of prose nothing is guessed.
 */
async function declaredLicenses(tree: TreeReader, name: string): Promise<string[]> {
  const text = await tree.readText(`/usr/share/doc/${name}/copyright`).catch(() => undefined);
  return text === undefined ? [] : licensesOf(text);
}

export function licensesOf(copyright: string): string[] {
  const [header = "", ...paragraphs] = copyright.split(/\n[ \t]*\n/);
  if (!/^Format:\s*https?:\/\/\S*copyright-format\/1\.0/m.test(header)) return [];
  // Paragraphs without Files hold the text of a licence that another one names.
  const stated = [header, ...paragraphs.filter((paragraph) => /^Files:/m.test(paragraph))];
  const names = stated.map((paragraph) => /^License:[ \t]*(\S.*?)[ \t]*$/m.exec(paragraph)?.[1] ?? "");
  return [...new Set(names.filter((name) => name !== ""))].sort();
}

import type { TreeReader } from "../tree.ts";
import { absent, value, type Properties } from "./fact.ts";

export type PackageProperty = "installed" | "versions";

export interface InstalledPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
}

const dpkgStatus = "/var/lib/dpkg/status";
/** One file for each package, in images that are put together without dpkg. */
const dpkgStatusDirectory = "/var/lib/dpkg/status.d";
const installed = "install ok installed";
const rpmDatabases = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

/** `name` as dpkg-query takes it: with ":amd64" only that architecture counts. */
export function resolvePackage(packages: readonly InstalledPackage[], name: string): Properties<PackageProperty> {
  const [bare, architecture] = name.split(":");
  const versions = packages
    .filter((entry) => entry.name === bare && (architecture === undefined || entry.architecture === architecture))
    .map((entry) => entry.version);
  return {
    installed: async () => value(versions.length > 0),
    versions: async () => (versions.length > 0 ? value(versions) : absent(`package ${name} is not installed`)),
  };
}

/** The fields of a package in dpkg's database; of those of several lines the first. */
export type DpkgStanza = ReadonlyMap<string, string>;

/** The packages that dpkg counts as installed. Throws an Error when the tree has no database that can be read. */
export async function readPackages(tree: TreeReader): Promise<readonly InstalledPackage[]> {
  const stanzas = await readDpkg(tree);
  if (stanzas === undefined) throw await noDatabase(tree);
  return stanzas.filter(isInstalled).flatMap((stanza) => {
    const [name, version] = [stanza.get("Package"), stanza.get("Version")];
    if (name === undefined || version === undefined) return [];
    return [{ name, version, architecture: stanza.get("Architecture") ?? "" }];
  });
}

/** All that dpkg's database knows, also what is no longer installed; undefined when the tree has none. */
export async function readDpkg(tree: TreeReader): Promise<readonly DpkgStanza[] | undefined> {
  const status = await tree.readText(dpkgStatus);
  const entries = await tree.readdir(dpkgStatusDirectory);
  if (status === undefined && entries === undefined) return undefined;
  const single = await Promise.all(
    (entries ?? [])
      .filter(({ name }) => !name.endsWith(".md5sums"))
      .map(({ name }) => tree.readText(`${dpkgStatusDirectory}/${name}`)),
  );
  return [
    ...stanzasOf(status ?? ""),
    // Such a file is there only when its package is, and often says no status.
    ...single.flatMap((text) => stanzasOf(text ?? "")).map((stanza) => new Map([...stanza, ["Status", installed]])),
  ];
}

async function noDatabase(tree: TreeReader): Promise<Error> {
  const found = await Promise.all(rpmDatabases.map((path) => tree.readdir(path)));
  const rpm = found.some((entries) => entries !== undefined && entries.length > 0);
  return new Error(rpm ? "no rpm database reader yet" : `the tree has no package database (${dpkgStatus})`);
}

function isInstalled(stanza: DpkgStanza): boolean {
  return /^(install|hold) ok installed$/.test(stanza.get("Status") ?? "");
}

/** The fields of deb822(5) that stand on one line each, which are all that is asked for. */
function stanzasOf(text: string): DpkgStanza[] {
  return text.split(/\n\s*\n/).map((stanza) => {
    const fields = stanza.matchAll(/^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$/gm);
    return new Map([...fields].map(([, name = "", content = ""]) => [name, content]));
  });
}

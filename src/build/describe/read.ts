import { readSettings, type TreeReader } from "../../compliance/index.ts";
import type { Inventory, InventoryPackage } from "../../image/index.ts";
import { toBytePath, toText } from "../tree/byte-paths.ts";
import { readerOf } from "../tree/reader.ts";
import { nodeAt, placeOf, type TreeNode } from "../tree/view.ts";
import { readDebs } from "./deb.ts";
import { listFiles } from "./files.ts";
import { isLanguageMetadata, readLanguagePackages } from "./language.ts";
import { readOsRelease } from "./os-release.ts";
import { readRpms } from "./rpm.ts";
import { readUnits } from "./units.ts";

/**
 * Reads what a tree holds. `scratch` is a folder that may be written to. Nothing of the tree is run, and nothing is
 * mounted.
 */
export async function readInventory(root: TreeNode, scratch: string): Promise<Inventory> {
  const tree = readerOf(root);
  const { files, size } = listFiles(root);
  const debs = await readDebs(tree);
  const rpms = await readRpms(tree, (path) => toText(placeOf(nodeAt(root, toBytePath(path)) ?? root)), scratch);
  const owned = await ownedMetadata(tree, rpms?.owned ?? []);
  const language = await readLanguagePackages(tree, files, owned);
  return {
    version: 1,
    os: await readOsRelease(tree),
    databases: [...(debs === undefined ? [] : ["dpkg" as const]), ...(rpms === undefined ? [] : ["rpm" as const])],
    packages: [...(debs ?? []), ...(rpms?.packages ?? []), ...language.packages].sort(byName),
    unread: language.unread,
    files,
    units: await readUnits(tree),
    sysctl: await readSysctl(tree),
    size,
  };
}

function byName(a: InventoryPackage, b: InventoryPackage): number {
  const keys = [a, b].map(({ kind, name, arch, version, path }) => [kind, name, arch, version, path].join("\0"));
  return (keys[0] ?? "") < (keys[1] ?? "") ? -1 : 1;
}

const dpkgInfo = "/var/lib/dpkg/info";

/** Whether a package of the system owns a file with metadata of pip or npm. */
async function ownedMetadata(tree: TreeReader, fromRpm: readonly string[]): Promise<(path: string) => boolean> {
  const owned = new Set(fromRpm.filter(isLanguageMetadata));
  for (const { name } of (await tree.readdir(dpkgInfo)) ?? []) {
    if (!name.endsWith(".list")) continue;
    const text = (await tree.readText(`${dpkgInfo}/${name}`)) ?? "";
    for (const path of text.split("\n")) if (isLanguageMetadata(path)) owned.add(path);
  }
  // In a usr-merged tree a package may still say /lib for what stands in /usr/lib.
  return (path) => owned.has(path) || owned.has(path.replace(/^\/usr(?=\/lib)/, ""));
}

/** The kernel parameters that the tree sets, by name; "-NAME" without a value only keeps a glob away. */
async function readSysctl(tree: TreeReader): Promise<Inventory["sysctl"]> {
  const settings = [...(await readSettings(tree)).values()].flatMap(({ key, value }): [string, string][] =>
    value === undefined ? [] : [[sysctlName(key), value.split(/\s+/).join(" ")]],
  );
  return Object.fromEntries(settings.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** net/ipv4/conf/eth0.1/x, as under /proc/sys, is written net.ipv4.conf.eth0/1.x. */
function sysctlName(key: string): string {
  return key.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}

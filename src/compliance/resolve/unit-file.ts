import { posix } from "node:path";
import type { TreeReader } from "../tree.ts";

/** systemd's search path for system units (systemd.unit(5)), first wins; /lib is for trees that are not usr-merged. */
export const unitDirectories = [
  "/etc/systemd/system.control",
  "/run/systemd/system.control",
  "/run/systemd/transient",
  "/run/systemd/generator.early",
  "/etc/systemd/system",
  "/etc/systemd/system.attached",
  "/run/systemd/system",
  "/run/systemd/system.attached",
  "/run/systemd/generator",
  "/usr/local/lib/systemd/system",
  "/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/run/systemd/generator.late",
] as const;

/** A unit as `systemctl` finds it by its name, after links. */
export interface UnitFile {
  /** The name asked for, or that of the unit it is an alias of. */
  readonly name: string;
  readonly path: string;
  readonly masked: boolean;
  readonly install: InstallSection;
}

export interface InstallSection {
  readonly aliases: readonly string[];
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  readonly also: readonly string[];
  readonly defaultInstance: string | undefined;
}

/** As systemd's UNIT_FILE_FOLLOW_SYMLINK_MAX. */
const maxLinks = 64;
const noInstall: InstallSection = {
  aliases: [],
  wantedBy: [],
  requiredBy: [],
  also: [],
  defaultInstance: undefined,
};

/**
 * Finds a unit the way systemd does (install_info_traverse in src/shared/install.c): through the search path, from an
 * instance to its template, and along links. Undefined when there is none, also when a link leads to nothing.
 */
export async function findUnit(tree: TreeReader, wanted: string): Promise<UnitFile | undefined> {
  let name = wanted;
  let path = await searchUnit(tree, name);
  for (let links = 0; path !== undefined; links += 1) {
    if (links > maxLinks) throw new Error(`${wanted}: too many links from unit to unit`);
    const link = await tree.readlink(path);
    if (link === undefined) return readUnit(tree, name, path);
    const target = await linkTarget(tree, path, link);
    if (await isMask(tree, target)) return { name, path, masked: true, install: noInstall };
    const alias = aliasName(name, posix.basename(target));
    if (alias === name || !isInSearchPath(target)) {
      path = (await tree.lstat(target)) === undefined ? undefined : target;
    } else {
      name = alias;
      path = await searchUnit(tree, name);
    }
  }
  return undefined;
}

export function isTemplate(name: string): boolean {
  return /@\.[a-z]+$/.test(name);
}

export function isInstance(name: string): boolean {
  return name.includes("@") && !isTemplate(name);
}

/** getty@tty1.service -> getty@.service; other names stay as they are. */
export function templateOf(name: string): string {
  return name.replace(/@.+\.([a-z]+)$/, "@.$1");
}

export function withInstance(template: string, instance: string): string {
  return template.replace("@.", `@${instance}.`);
}

async function searchUnit(tree: TreeReader, name: string): Promise<string | undefined> {
  const names = isInstance(name) ? [name, templateOf(name)] : [name];
  for (const candidate of names) {
    for (const directory of unitDirectories) {
      const path = `${directory}/${candidate}`;
      if ((await tree.lstat(path)) !== undefined) return path;
    }
  }
  return undefined;
}

/** A link to a template, followed for one of its instances, stands for the same instance of that template. */
function aliasName(name: string, target: string): string {
  if (!isInstance(name) || !isTemplate(target)) return target;
  return withInstance(target, name.slice(name.indexOf("@") + 1, name.lastIndexOf(".")));
}

async function linkTarget(tree: TreeReader, path: string, link: string): Promise<string> {
  const absolute = posix.resolve("/", posix.dirname(path), link);
  return (await tree.locate(absolute)) ?? absolute;
}

function isInSearchPath(path: string): boolean {
  return unitDirectories.some((directory) => path.startsWith(`${directory}/`));
}

/** /dev/null, which a tree need not have, or an empty file. */
async function isMask(tree: TreeReader, path: string): Promise<boolean> {
  if (path === "/dev/null") return true;
  const found = await tree.stat(path);
  return found !== undefined && found.isFile() && found.size === 0;
}

async function readUnit(tree: TreeReader, name: string, path: string): Promise<UnitFile> {
  if (await isMask(tree, path)) return { name, path, masked: true, install: noInstall };
  const names = isInstance(name) ? [name, templateOf(name)] : [name];
  const texts = [await tree.readText(path)];
  for (const dropIn of await findDropIns(tree, names)) texts.push(await tree.readText(dropIn));
  return { name, path, masked: false, install: parseInstall(texts.map((text) => text ?? "")) };
}

/** NAME.d/*.conf of every place; of two files with one name the one found first counts. */
async function findDropIns(tree: TreeReader, names: readonly string[]): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (const name of names) {
    for (const directory of unitDirectories) {
      for (const entry of (await tree.readdir(`${directory}/${name}.d`)) ?? []) {
        if (!entry.name.endsWith(".conf") || found.has(entry.name)) continue;
        const path = `${directory}/${name}.d/${entry.name}`;
        if ((await tree.stat(path))?.isFile()) found.set(entry.name, path);
      }
    }
  }
  return [...found.keys()].sort().flatMap((name) => found.get(name) ?? []);
}

/** The [Install] sections of a unit and its drop-ins (systemd.syntax(7)); an empty assignment clears a list. */
export function parseInstall(texts: readonly string[]): InstallSection {
  const lists = new Map<string, string[]>();
  for (const text of texts) {
    let section = "";
    for (const line of text
      .replaceAll("\\\n", " ")
      .split("\n")
      .map((part) => part.trim())) {
      if (line.startsWith("#") || line.startsWith(";")) continue;
      if (line.startsWith("[")) section = line;
      const [, key = "", content = ""] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
      if (section !== "[Install]" || key === "") continue;
      const words = content.split(/\s+/).filter((word) => word !== "");
      lists.set(key, words.length === 0 ? [] : [...(lists.get(key) ?? []), ...words]);
    }
  }
  const list = (key: string) => lists.get(key) ?? [];
  return {
    aliases: list("Alias"),
    wantedBy: list("WantedBy"),
    requiredBy: list("RequiredBy"),
    also: list("Also"),
    defaultInstance: list("DefaultInstance").at(-1),
  };
}

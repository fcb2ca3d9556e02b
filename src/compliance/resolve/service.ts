import { posix } from "node:path";
import type { TreeReader } from "../tree.ts";
import { value, type Fact, type Properties } from "./fact.ts";
import {
  findUnit,
  isInstance,
  isTemplate,
  templateOf,
  unitDirectories,
  withInstance,
  type UnitFile,
} from "./unit-file.ts";

export type ServiceProperty = "enabled" | "running" | "runlevels";

/** The words that `systemctl is-enabled` prints, and "not-found". */
export type UnitState =
  | "enabled"
  | "enabled-runtime"
  | "linked"
  | "linked-runtime"
  | "alias"
  | "masked"
  | "masked-runtime"
  | "static"
  | "indirect"
  | "disabled"
  | "generated"
  | "transient"
  | "not-found";

/** States for which `systemctl is-enabled` ends with 0, which is what goss asks for. */
const enabledStates: ReadonlySet<UnitState> = new Set([
  "enabled",
  "enabled-runtime",
  "static",
  "alias",
  "indirect",
  "generated",
]);

const unitSuffix = /\.(service|socket|target|mount|automount|swap|path|timer|slice|scope|device)$/;

export function resolveService(tree: TreeReader, name: string): Properties<ServiceProperty> {
  const needsNode = async (): Promise<Fact> => ({
    state: "deferred",
    message: "needs a booted node",
  });
  return {
    enabled: async () => {
      const unit = unitSuffix.test(name) ? name : `${name}.service`;
      const state = await unitState(tree, unit);
      return value(enabledStates.has(state), `${unit} is ${state}`);
    },
    running: needsNode,
    runlevels: needsNode,
  };
}

/** Links in one place of the search path, by what they may say of a unit. */
interface UnitLinks {
  /** In its folders of wants and requires: names of links by the unit that they bring in, or by its template. */
  readonly wanted: ReadonlyMap<string, readonly string[]>;
  /** In the place itself: the last name of what a link leads to, by the link's name. */
  readonly targets: ReadonlyMap<string, string>;
  /** The same the other way round. */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

/** Reads the links of a place. */
export type UnitLinkReader = (directory: string) => Promise<UnitLinks>;

/** For who asks for many units: what each place has is read once. */
export function readLinksOnce(tree: TreeReader): UnitLinkReader {
  const known = new Map<string, Promise<UnitLinks>>();
  return (directory) => {
    const reading = known.get(directory) ?? readLinks(tree, directory);
    known.set(directory, reading);
    return reading;
  };
}

/**
 * What `systemctl --root=TREE is-enabled UNIT` says (unit_file_lookup_state in systemd's src/shared/install.c),
 * init scripts included. Throws an Error when the tree has no place for either.
 */
export async function unitState(
  tree: TreeReader,
  name: string,
  links: UnitLinkReader = readLinksOnce(tree),
): Promise<UnitState> {
  if (!/^[A-Za-z0-9:_.\\@-]+$/.test(name)) throw new Error(`"${name}" is not the name of a unit`);
  const unit = await findUnit(tree, name);
  if (unit === undefined) return initScriptState(tree, name);
  const runtime = unit.path.startsWith("/run/");
  if (unit.masked) return runtime ? "masked-runtime" : "masked";
  if (name !== posix.basename(unit.path) && !isInstance(unit.name)) return "alias";
  if (unit.path.startsWith("/run/systemd/generator")) return "generated";
  if (unit.path.startsWith("/run/systemd/transient/")) return "transient";
  const byInstall = await linkedState(links, unit, (link) => isNameOfInstall(unit, link));
  if (byInstall !== undefined) return byInstall;
  // Somebody else's link may bring it in under another name.
  if ((await linkedState(links, unit, () => true)) !== undefined) return "indirect";
  const { aliases, wantedBy, requiredBy, also } = unit.install;
  if (aliases.length + wantedBy.length + requiredBy.length > 0) return "disabled";
  return also.length > 0 ? "indirect" : "static";
}

function isNameOfInstall({ name, install }: UnitFile, link: string): boolean {
  if (link === name || install.aliases.includes(link)) return true;
  return (
    isTemplate(name) && install.defaultInstance !== undefined && link === withInstance(name, install.defaultInstance)
  );
}

/** find_symlinks_in_scope: where links to the unit stand decides what they mean. */
async function linkedState(
  linksOf: UnitLinkReader,
  unit: UnitFile,
  accepts: (link: string) => boolean,
): Promise<UnitState | undefined> {
  const found = { runtime: false, anywhere: false, linked: false, linkedRuntime: false };
  let belowUnit = false;
  for (const directory of unitDirectories) {
    const links = findLinks(await linksOf(directory), unit, belowUnit, accepts);
    if (links === "found") {
      if (directory === "/etc/systemd/system") return "enabled";
      if (directory.startsWith("/run/")) found.runtime = true;
      else found.anywhere = true;
    } else if (links === "same name") {
      if (directory === "/etc/systemd/system") found.linked = true;
      else if (directory.startsWith("/run/")) found.linkedRuntime = true;
    }
    // A file or link of the same name in a later place is hidden by the unit itself.
    if (unit.path.startsWith(`${directory}/`)) belowUnit = true;
  }
  if (found.runtime) return "enabled-runtime";
  if (found.anywhere && isInstance(unit.name)) return "static";
  if (found.linked) return "linked";
  return found.linkedRuntime ? "linked-runtime" : undefined;
}

type Links = "found" | "same name" | "none";

/** First for wants and requires, then for aliases and linked files. */
function findLinks(
  { wanted, targets, names }: UnitLinks,
  unit: UnitFile,
  belowUnit: boolean,
  accepts: (link: string) => boolean,
): Links {
  if (wanted.get(unit.name)?.some(accepts) === true) return "found";
  const ownTarget = belowUnit ? undefined : targets.get(unit.name);
  const others = (names.get(unit.name) ?? []).filter((name) => belowUnit || name !== unit.name);
  if (others.some(accepts)) return "found";
  if (ownTarget === unit.name) return "same name";
  return ownTarget !== undefined && accepts(unit.name) ? "found" : "none";
}

async function readLinks(tree: TreeReader, directory: string): Promise<UnitLinks> {
  const wanted = new Map<string, string[]>();
  const targets = new Map<string, string>();
  const names = new Map<string, string[]>();
  for (const { name, type } of (await tree.readdir(directory)) ?? []) {
    if (type === "symlink") {
      const target = posix.basename((await tree.readlink(`${directory}/${name}`)) ?? "");
      targets.set(name, target);
      add(names, target, name);
    } else if (type === "directory" && /\.(wants|requires)$/.test(name)) {
      for (const link of (await tree.readdir(`${directory}/${name}`)) ?? []) {
        if (link.type !== "symlink") continue;
        for (const unit of new Set([link.name, templateOf(link.name)])) add(wanted, unit, link.name);
      }
    }
  }
  return { wanted, targets, names };
}

function add(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** As Debian's systemd-sysv-install: an init script is enabled by a start link in the levels 5 or S. */
async function initScriptState(tree: TreeReader, unit: string): Promise<UnitState> {
  const name = unit.replace(/\.service$/, "");
  if ((await tree.stat(`/etc/init.d/${name}`)) === undefined) {
    await requireInit(tree);
    return "not-found";
  }
  for (const level of ["5", "S"]) {
    const links = (await tree.readdir(`/etc/rc${level}.d`)) ?? [];
    if (links.some((link) => /^S..$/.test(link.name.slice(0, 3)) && link.name.slice(3) === name)) return "enabled";
  }
  return "disabled";
}

async function requireInit(tree: TreeReader): Promise<void> {
  for (const directory of [...unitDirectories, "/etc/init.d"]) {
    if ((await tree.readdir(directory)) !== undefined) return;
  }
  throw new Error("the tree has neither systemd units nor init scripts");
}

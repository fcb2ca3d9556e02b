import { matchesGlob, posix } from "node:path";
import { readLinksOnce, unitDirectories, unitState, type TreeReader } from "../../compliance/index.ts";
import type { InventoryUnit } from "../../image/index.ts";

const unitName = /^[A-Za-z0-9:_.\\@-]+\.(service|socket|target|mount|automount|swap|path|timer|slice|scope|device)$/;
const presetDirectories = [
  "/etc/systemd/system-preset",
  "/run/systemd/system-preset",
  "/usr/local/lib/systemd/system-preset",
  "/usr/lib/systemd/system-preset",
  "/lib/systemd/system-preset",
];

/** Every unit and init script of the tree, by name, with what `systemctl is-enabled` says and who wants it. */
export async function readUnits(tree: TreeReader): Promise<InventoryUnit[]> {
  const remembering = rememberReads(tree);
  const names = new Set<string>();
  const wanted = new Map<string, Set<string>>();
  for (const directory of unitDirectories) {
    for (const { name, type } of (await remembering.readdir(directory)) ?? []) {
      const by = /^(.+)\.(wants|requires)$/.exec(name)?.[1];
      if (type !== "directory") names.add(name);
      else if (by !== undefined) {
        for (const link of (await remembering.readdir(`${directory}/${name}`)) ?? []) {
          if (link.type !== "symlink") continue;
          names.add(link.name);
          wanted.set(link.name, (wanted.get(link.name) ?? new Set()).add(by));
        }
      }
    }
  }
  for (const { name, type } of (await remembering.readdir("/etc/init.d")) ?? []) {
    if (type === "file" && name !== "README") names.add(`${name}.service`);
  }
  const links = readLinksOnce(remembering);
  const presets = await firstBootPresets(remembering);
  const units: InventoryUnit[] = [];
  for (const name of [...names].filter((name) => unitName.test(name)).sort()) {
    const state = await unitState(remembering, name, links);
    const preset = state === "disabled" && presets !== undefined && presetEnables(presets, name);
    const wantedBy = [...(wanted.get(name) ?? [])].sort();
    units.push({ name, state, wantedBy, ...(preset && { preset: "enable" as const }) });
  }
  return units;
}

/** Where units stand is asked again for each of them; the tree does not change meanwhile. */
function rememberReads(tree: TreeReader): TreeReader {
  const remember = <T>(read: (path: string) => Promise<T>) => {
    const known = new Map<string, Promise<T>>();
    return (path: string) => {
      const reading = known.get(path) ?? read(path);
      known.set(path, reading);
      return reading;
    };
  };
  const namesIn = remember(async (directory) => new Set((await tree.readdir(directory))?.map(({ name }) => name)));
  /** Most units, and most of their folders of drop-ins, are looked for in most places in vain. */
  const whereNamed = <T>(read: (path: string) => Promise<T>) => {
    const known = remember(read);
    return async (path: string) =>
      (await namesIn(posix.dirname(path))).has(posix.basename(path)) ? known(path) : undefined;
  };
  return {
    ...tree,
    lstat: whereNamed(tree.lstat),
    stat: remember(tree.stat),
    readlink: remember(tree.readlink),
    readdir: whereNamed(tree.readdir),
    locate: remember(tree.locate),
  };
}

interface PresetRule {
  readonly enables: boolean;
  readonly pattern: string;
}

/**
 * The rules of systemd.preset(5) in their order; undefined when no boot applies them. Only a first boot does, which is
 * one without a machine-id or with "uninitialized" in it; an empty file means a new id and no first boot
 * (machine-id(5), "First Boot Semantics").
 */
async function firstBootPresets(tree: TreeReader): Promise<readonly PresetRule[] | undefined> {
  const machineId = await tree.readText("/etc/machine-id");
  if (machineId !== undefined && machineId.trim() !== "uninitialized") return undefined;
  const files = new Map<string, string>();
  for (const directory of presetDirectories) {
    for (const { name } of (await tree.readdir(directory)) ?? []) {
      if (name.endsWith(".preset") && !files.has(name)) files.set(name, `${directory}/${name}`);
    }
  }
  const rules: PresetRule[] = [];
  for (const name of [...files.keys()].sort()) {
    const path = files.get(name) ?? "";
    // A link to /dev/null is how a file of a lower directory is switched off.
    const text = (await tree.stat(path))?.isFile() ? await tree.readText(path) : "";
    for (const line of (text ?? "").split("\n")) {
      const [word, pattern] = line.trim().split(/\s+/);
      if ((word === "enable" || word === "disable") && pattern) rules.push({ enables: word === "enable", pattern });
    }
  }
  return rules;
}

/** The first rule that fits counts; a unit that none names is enabled. */
function presetEnables(rules: readonly PresetRule[], unit: string): boolean {
  return rules.find(({ pattern }) => matchesGlob(unit, pattern))?.enables ?? true;
}

import { matchesGlob } from "node:path";
import type { TreeReader } from "../tree.ts";
import type { Fact, Properties } from "./fact.ts";

/** Where systemd-sysctl looks, first wins for files of one name (sysctl.d(5)); /lib for trees that are not usr-merged. */
const directories = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

export interface Setting {
  /** With slashes, as under /proc/sys; may be a glob. */
  readonly key: string;
  /** Undefined for "-key" without a value, which keeps globs away from the key. */
  readonly value: string | undefined;
  /** FILE:LINE */
  readonly place: string;
}

/**
 * Predicts a parameter from the tree's configuration; the kernel's own default is not in the tree, so that a parameter
 * which nothing sets has no value.
 */
export function resolveKernelParam(settings: ReadonlyMap<string, Setting>, name: string): Properties<"value"> {
  return {
    value: async (): Promise<Fact> => {
      const setting = effectiveSetting(settings, normaliseKey(name));
      if (setting?.value === undefined) {
        const message = `nothing in the tree sets ${name} (looked in ${directories.slice(0, -1).join(", ")})`;
        return { state: "absent", message, predicted: true };
      }
      return {
        state: "value",
        value: asKernelPrints(setting.value),
        predicted: true,
        note: `set in ${setting.place}`,
      };
    },
  };
}

/** An exact name beats globs wherever it stands (apply_glob_option_with_prefix in systemd's src/sysctl/sysctl.c). */
function effectiveSetting(settings: ReadonlyMap<string, Setting>, key: string): Setting | undefined {
  const exact = settings.get(key);
  if (exact !== undefined) return exact;
  return [...settings.values()].findLast((setting) => setting.value !== undefined && matchesGlob(key, setting.key));
}

/** The settings in the order in which systemd-sysctl applies them, by key. */
export async function readSettings(tree: TreeReader): Promise<ReadonlyMap<string, Setting>> {
  const files = new Map<string, string>();
  for (const directory of directories) {
    for (const { name, type } of (await tree.readdir(directory)) ?? []) {
      const isFile = type === "file" || type === "symlink";
      if (!isFile || !name.endsWith(".conf") || name.startsWith(".") || files.has(name)) continue;
      files.set(name, `${directory}/${name}`);
    }
  }
  const settings = new Map<string, Setting>();
  for (const name of [...files.keys()].sort()) {
    const path = files.get(name) ?? "";
    // A link to /dev/null is how a file of a lower directory is switched off.
    const text = (await tree.stat(path))?.isFile() ? await tree.readText(path) : "";
    for (const setting of parseSettings(text ?? "", path)) {
      // The later one also takes the later place, but saying the same again changes nothing.
      if (settings.get(setting.key)?.value === setting.value && settings.has(setting.key)) continue;
      settings.delete(setting.key);
      settings.set(setting.key, setting);
    }
  }
  return settings;
}

function parseSettings(text: string, path: string): readonly Setting[] {
  return text.split("\n").flatMap((line, index): Setting[] => {
    const content = line.trim();
    if (content === "" || content.startsWith("#") || content.startsWith(";")) return [];
    const equals = content.indexOf("=");
    const tolerant = content.startsWith("-");
    // Neither an assignment nor "-key": systemd-sysctl logs it and goes on.
    if (equals < 0 && !tolerant) return [];
    const key = content.slice(tolerant ? 1 : 0, equals < 0 ? undefined : equals).trim();
    const value = equals < 0 ? undefined : content.slice(equals + 1).trim();
    return [{ key: normaliseKey(key), value, place: `${path}:${index + 1}` }];
  });
}

/** The first of the two separators decides: "net.ipv4.conf.eth0/1.x" and "net/ipv4/conf/eth0.1/x" are one key. */
export function normaliseKey(key: string): string {
  if (key.search(/[./]/) < 0 || key[key.search(/[./]/)] === "/") return key;
  return key.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."));
}

/** The kernel prints a row of numbers with tabs between them; goss compares with what it prints. */
function asKernelPrints(value: string): string {
  return /^-?\d+(\s+-?\d+)+$/.test(value) ? value.split(/\s+/).join("\t") : value;
}

import { readFileSync } from "node:fs";
import { toBuffer } from "./byte-paths.ts";
import type { Stack } from "./stack.ts";

export type PackageManager = "apt" | "dnf" | "zypper";

const programs = { apt: "usr/bin/apt-get", dnf: "usr/bin/dnf", zypper: "usr/bin/zypper" } as const;
/** Of which distributions, as os-release(5) names them in ID and ID_LIKE, a package manager is the own one. */
const own = { apt: ["debian", "ubuntu"], dnf: ["rhel", "fedora", "centos"], zypper: ["suse", "opensuse"] } as const;

/** The package manager of a tree; of several, the one of its distribution. Undefined when it has none. */
export async function packageManagerOf(tree: Stack): Promise<PackageManager | undefined> {
  const there: PackageManager[] = [];
  for (const manager of ["apt", "dnf", "zypper"] as const) {
    if ((await tree.topmost(programs[manager])) !== undefined) there.push(manager);
  }
  if (there.length < 2) return there[0];
  const words = await distributionOf(tree);
  return there.find((manager) => own[manager].some((name) => words.includes(name))) ?? there[0];
}

async function distributionOf(tree: Stack): Promise<string[]> {
  for (const path of ["usr/lib/os-release", "etc/os-release"]) {
    const found = await tree.topmost(path);
    if (found?.stats.isFile() !== true) continue;
    const text = readFileSync(toBuffer(found.file), "utf8");
    return [...text.matchAll(/^ID(?:_LIKE)?=["']?([^"'\n]*)/gm)].flatMap((match) => (match[1] ?? "").split(/[\s-]+/));
  }
  return [];
}

import type { TreeReader } from "../../compliance/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { readerOf } from "../tree/reader.ts";
import type { TreeNode } from "../tree/view.ts";
import type { Looks } from "./trace.ts";

export interface Kernel {
  /** As `uname -r` would say it. */
  readonly version: string;
  /** Path of its image in the tree, with no links in it. */
  readonly image: string;
}

/** What of a tree decides whether and how it boots. */
export interface Survey {
  /** The newest first. */
  readonly kernels: readonly Kernel[];
  /** Versions for which there are modules and no image. */
  readonly withoutImage: readonly string[];
  readonly dracut: boolean;
  /** Modules of the tree's dracut. */
  readonly dracutModules: readonly string[];
  /** Which of the programs that were asked for are there. */
  readonly programs: readonly string[];
  /** Of the newest kernel, as modinfo names them. */
  readonly drivers: { readonly loadable: readonly string[]; readonly builtIn: readonly string[] } | undefined;
  /** Whether the newest kernel takes an initrd that is compressed with zstd; undefined when its configuration is not there. */
  readonly unpacksZstd: boolean | undefined;
  /** What brings programs into the tree. */
  readonly family: "deb" | "rpm" | "suse" | undefined;
  /** Where all of this was found out. */
  readonly looks: Looks;
}

/** Names of kernel images: of x86 and most others; of aarch64 (SUSE, and plain builds); of those without a wrapper. */
const imageNames = ["vmlinuz", "Image", "Image.gz", "vmlinux"];

/** /lib is a link on systems whose /usr is merged, and a folder of its own on others. */
const moduleFolders = ["/usr/lib/modules", "/lib/modules"];

/** Surveys a tree; `programs` are names to be looked for where dracut looks for them. */
export async function survey(root: TreeNode, programs: readonly string[]): Promise<Survey> {
  const tree = openTree(readerOf(root));
  const versions = [...new Set((await Promise.all(moduleFolders.map(tree.list))).flat())].sort(compareKernels);
  const images = await Promise.all(versions.map((version) => findImage(version, tree)));
  const kernels = versions.flatMap((version, index) => {
    const image = images[index];
    return image === undefined ? [] : [{ version, image }];
  });
  const newest = kernels[0]?.version;
  const dracutModules = await tree.list("/usr/lib/dracut/modules.d");
  const config = newest === undefined ? undefined : await firstText(configsOf(newest), tree);
  return {
    kernels,
    withoutImage: versions.filter((_, index) => images[index] === undefined),
    dracut: await hasProgram("dracut", tree),
    dracutModules: dracutModules.map((name) => name.replace(/^\d\d/, "")),
    programs: await filterAsync(programs, (name) => hasProgram(name, tree)),
    drivers: newest === undefined ? undefined : await readDrivers(newest, tree),
    unpacksZstd: config === undefined ? undefined : /^CONFIG_RD_ZSTD=y$/m.test(config),
    family: await familyOf(tree),
    looks: tree.looks(),
  };
}

interface Tree {
  /** The path without links in it, when something is there. */
  find(path: string): Promise<string | undefined>;
  /** The same for regular files alone: whoever opens a pipe or a device of the tree does more than read. */
  findFile(path: string): Promise<string | undefined>;
  list(path: string): Promise<string[]>;
  text(path: string): Promise<string | undefined>;
  looks(): Looks;
}

function openTree(reader: TreeReader): Tree {
  const paths = new Set<string>();
  const folders = new Set<string>();
  const find = async (path: string) => {
    paths.add(path);
    return reader.realpath(path);
  };
  const isFile = async (path: string) => (await reader.stat(path))?.isFile() === true;
  return {
    find,
    findFile: async (path) => {
      const found = await find(path);
      return found !== undefined && (await isFile(found)) ? found : undefined;
    },
    list: async (path) => {
      if ((await find(path)) === undefined) return [];
      folders.add(path);
      return ((await reader.readdir(path)) ?? []).map(({ name }) => name);
    },
    text: async (path) => {
      await find(path);
      return (await isFile(path)) ? reader.readText(path) : undefined;
    },
    looks: () => ({ paths: [...paths], folders: [...folders] }),
  };
}

async function filterAsync<T>(values: readonly T[], test: (value: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(values.map(test));
  return values.filter((_, index) => kept[index]);
}

/** EL and SUSE put the image beside the modules (and link or copy it to /boot), Debian into /boot alone. */
async function findImage(version: string, tree: Tree): Promise<string | undefined> {
  for (const name of imageNames) {
    for (const folder of moduleFolders) {
      const beside = await tree.findFile(`${folder}/${version}/${name}`);
      if (beside !== undefined) return beside;
    }
    const boot = await tree.findFile(`/boot/${name}-${version}`);
    if (boot !== undefined) return boot;
  }
  return undefined;
}

function configsOf(version: string): string[] {
  return [`/boot/config-${version}`, ...moduleFolders.map((folder) => `${folder}/${version}/config`)];
}

async function firstText(paths: readonly string[], tree: Tree): Promise<string | undefined> {
  for (const path of paths) {
    const text = await tree.text(path);
    if (text !== undefined) return text;
  }
  return undefined;
}

async function hasProgram(name: string, tree: Tree): Promise<boolean> {
  for (const folder of ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]) {
    if ((await tree.find(`${folder}/${name}`)) !== undefined) return true;
  }
  return false;
}

/** modules.dep (depmod) and modules.builtin (the kernel's own build) name files; a module is named after its file. */
async function readDrivers(version: string, tree: Tree): Promise<Survey["drivers"]> {
  const read = (name: string) =>
    firstText(
      moduleFolders.map((folder) => `${folder}/${version}/${name}`),
      tree,
    );
  const dependencies = await read("modules.dep");
  if (dependencies === undefined) return undefined;
  return { loadable: moduleNames(dependencies), builtIn: moduleNames((await read("modules.builtin")) ?? "") };
}

function moduleNames(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const name = /([^/:]+)\.ko(\.\w+)?(:|$)/.exec(line)?.[1];
    return name === undefined ? [] : [moduleName(name)];
  });
}

/** The kernel takes both for the same (modprobe(8)). */
export function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}

async function familyOf(tree: Tree): Promise<Survey["family"]> {
  if ((await tree.find("/var/lib/dpkg/status")) !== undefined) return "deb";
  if ((await tree.find("/usr/bin/zypper")) !== undefined || (await tree.find("/etc/zypp")) !== undefined) return "suse";
  for (const path of ["/var/lib/rpm", "/usr/lib/sysimage/rpm"]) {
    if ((await tree.find(path)) !== undefined) return "rpm";
  }
  return undefined;
}

/**
 * Orders kernel versions, the newest first: runs of digits and of letters in turn, digits by value and newer than
 * letters, a longer one newer (as rpm's rpmvercmp). What follows a "+" is a variant of EL (debug, rt, 64k): the plain
 * kernel goes before it.
 */
export function compareKernels(a: string, b: string): number {
  const [plainA = "", variantA = ""] = a.split("+");
  const [plainB = "", variantB = ""] = b.split("+");
  const [left, right] = [plainA, plainB].map((plain) => plain.match(/\d+|[A-Za-z]+/g) ?? []);
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index += 1) {
    const [x, y] = [left?.[index], right?.[index]];
    if (x === undefined || y === undefined) return x === undefined ? 1 : -1;
    const [numberX, numberY] = [/^\d/.test(x), /^\d/.test(y)];
    if (numberX !== numberY) return numberX ? -1 : 1;
    const difference = numberX ? Number(y) - Number(x) : x < y ? 1 : x > y ? -1 : 0;
    if (difference !== 0) return difference;
  }
  return variantA < variantB ? -1 : variantA > variantB ? 1 : 0;
}

export function newestKernel({ kernels, withoutImage }: Pick<Survey, "kernels" | "withoutImage">): Kernel {
  if (kernels[0] !== undefined) return kernels[0];
  const hint =
    "name a kernel package in recipe.yaml (kernel.package), or install one before the tree is packed, and pack /boot too";
  if (withoutImage.length === 0) {
    throw new NetkilnError("work_failed", "the tree has no kernel: /usr/lib/modules is empty", { hint });
  }
  const places = withoutImage.flatMap((version) =>
    imageNames.flatMap((name) => [`/usr/lib/modules/${version}/${name}`, `/boot/${name}-${version}`]),
  );
  throw new NetkilnError(
    "work_failed",
    `the tree has modules of ${withoutImage.join(", ")}, but no kernel: none of ${places.join(", ")} is there`,
    { hint },
  );
}

import { chmod, chown, mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageManagerOf } from "../tree/package-manager.ts";
import { wholeSeconds, type Stack } from "../tree/stack.ts";

export interface Scaffold {
  /** Lines of an apt sources list, for layers that install packages; empty for none. */
  readonly aptSources: readonly string[];
  /** Lines of an apt configuration file. */
  readonly aptOptions: readonly string[];
  /** The host's resolv.conf, for layers that reach the network. */
  readonly resolvConf: string | undefined;
  /** Sections of a repository file, as dnf and zypper read them (dnf.conf(5), "Repo options"). */
  readonly rpmRepositories?: string;
  /** Further files, such as the keys that packages are checked with. */
  readonly files?: readonly (readonly [path: string, content: string, mode: number])[];
  /** Whether `uname` answers with the tree's newest kernel: the layer builds kernel modules. */
  readonly buildsKernelModules?: boolean;
}

/**
 * Stands in for uname(1) where a layer builds kernel modules: dkms, and makefiles of modules, build for the kernel that
 * it names, and that has to be the tree's. Programs that ask the running kernel itself (uname(2)) get the host's.
 */
const uname = `#!/bin/sh
real=/usr/bin/uname
[ -x "$real" ] || real=/bin/uname
kernel=$(ls -1v /lib/modules 2>/dev/null | tail -n 1)
[ -n "$kernel" ] || exec "$real" "$@"
answer=$("$real" "$@") || exit
running=$("$real" -r)
case " $answer " in
  *" $running "*) printf '%s\\n' "\${answer%%"$running"*}$kernel\${answer#*"$running"}" ;;
  *) printf '%s\\n' "$answer" ;;
esac
`;

/**
 * Writes the layer that stands on top of the tree while a layer is made and is not part of the image: no daemon may
 * start (policy-rc.d, exit 101, https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt), names
 * resolve, and the package manager knows the build's sources. Folders that the tree has look as they do there, and what
 * a layer copies up is not changed by it.
 */
export async function writeScaffold(directory: string, scaffold: Scaffold, tree: Stack): Promise<void> {
  const manager = await packageManagerOf(tree);
  const files = [...(scaffold.files ?? [])];
  if (manager === "apt") {
    files.push(
      ["usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755],
      ["etc/apt/sources.list.d/netkiln-build.list", lines(scaffold.aptSources), 0o644],
      ["etc/apt/apt.conf.d/99netkiln-build", lines(scaffold.aptOptions), 0o644],
    );
  } else if (manager !== undefined) {
    const folder = manager === "dnf" ? "etc/yum.repos.d" : "etc/zypp/repos.d";
    files.push([`${folder}/netkiln-build.repo`, scaffold.rpmRepositories ?? "", 0o644]);
  }
  files.push(["etc/resolv.conf", scaffold.resolvConf ?? "", 0o644]);
  if (scaffold.buildsKernelModules === true) files.push([`${await ownPrograms(tree)}/uname`, uname, 0o755]);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const folders = new Set([""]);
  for (const [path, content, mode] of files) {
    if (content === "") continue;
    const parts = path.split("/").slice(0, -1);
    for (const index of parts.keys()) folders.add(parts.slice(0, index + 1).join("/"));
    await mkdir(join(directory, ...parts), { recursive: true, mode: 0o755 });
    await writeFile(join(directory, path), content, { mode });
  }
  // The innermost first: making something in a folder changes its time.
  for (const folder of [...folders].reverse()) await makeAlike(folder, directory, tree);
}

/** Where programs stand that win over the distribution's; some trees have a link at the first place. */
async function ownPrograms(tree: Stack): Promise<string> {
  const first = await tree.topmost("usr/local/sbin");
  return first === undefined || first.stats.isDirectory() ? "usr/local/sbin" : "usr/local/bin";
}

/** A folder of the topmost layer is what the tree shows, and what is copied up from there: it has to look the same. */
async function makeAlike(folder: string, directory: string, tree: Stack): Promise<void> {
  const found = await tree.topmost(folder);
  if (found?.stats.isDirectory() !== true) return;
  const place = join(directory, folder);
  await chown(place, Number(found.stats.uid), Number(found.stats.gid));
  await chmod(place, Number(found.stats.mode & 0o7777n));
  await utimes(place, wholeSeconds(found.stats), wholeSeconds(found.stats));
}

function lines(values: readonly string[]): string {
  return values.map((line) => `${line}\n`).join("");
}

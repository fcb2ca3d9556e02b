import { posix } from "node:path";

/** What a traced program looked at in a tree: paths as it named them, or as the kernel resolved them. */
export interface Looks {
  /** Opened, examined, executed, or looked for in vain. */
  readonly paths: ReadonlySet<string>;
  /** Folders that were opened, and so may have been listed. */
  readonly folders: ReadonlySet<string>;
}

/** Not of the tree: made for the run of the program. */
const elsewhere = /^\/(proc|sys|dev|run|tmp)(\/|$)/;

/**
 * Reads the log of `strace -f -y -e trace=%file` about a program that runs chrooted into `root` (strace itself does
 * not). Arguments are as the program sees them; what -y adds in angle brackets is as strace sees it, below `root`.
 *
 *   812 openat(AT_FDCWD</mnt/usr/lib>, "dracut/x", O_RDONLY) = 3</mnt/usr/lib/dracut/x>
 *   812 <... openat resumed>) = 3</mnt/usr/lib/dracut/x>
 */
export function readTrace(log: string, root: string): Looks {
  const paths = new Set<string>();
  const folders = new Set<string>();
  const take = (into: Set<string>, path: string) => {
    const clean = posix.normalize(path);
    if (!elsewhere.test(clean)) into.add(clean.length > 1 ? clean.replace(/\/$/, "") : clean);
  };
  /** Undefined for what is not below the root: strace's own side. */
  const inside = (path: string) =>
    path === root ? "/" : path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
  const folderOf = new Map<string, string>();

  for (const line of log.split("\n")) {
    const [, process = "", call = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const base = /\((?:AT_FDCWD|\d+)<([^>]*)>/.exec(call)?.[1];
    const folder = base === undefined ? folderOf.get(process) : inside(base);
    if (base !== undefined && call.includes("(AT_FDCWD<") && folder !== undefined) folderOf.set(process, folder);
    const named = /"((?:[^"\\]|\\.)*)"/.exec(call)?.[1];
    const isOwn = base !== undefined && folder === undefined;
    const path =
      named === undefined || isOwn ? undefined : posix.isAbsolute(named) ? named : posix.join(folder ?? "/", named);
    if (path !== undefined && named !== "") take(paths, path);
    const resolved = / = \d+<([^>]*)>$/.exec(call)?.[1];
    const found = resolved === undefined ? undefined : inside(resolved);
    if (found !== undefined) take(paths, found);
    if (call.includes("O_DIRECTORY")) take(folders, found ?? path ?? "/");
  }
  return { paths, folders };
}

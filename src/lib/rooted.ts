import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { join } from "node:path";

/** As the kernel's limit for one path (path_resolution(7)). */
const maxLinks = 40;

/** What stands somewhere, a link itself and not its target. */
export type Standing = Pick<Stats, "isDirectory" | "isSymbolicLink">;

/** A tree in which paths are followed; it is asked for paths from its root with no link before their last component. */
export interface Places {
  /** Undefined when nothing is there. */
  lstat(path: string): Promise<Standing | undefined>;
  readlink(path: string): Promise<string>;
}

/** What stands at a path of this machine, a link itself and not its target; undefined when nothing is there. */
const lookAt = (path: string): Promise<Stats | undefined> => orUndefined(lstat(path));

/**
 * Follows a path as a process would whose root is the folder `root` of this machine: see `resolvePlace`. `root` itself
 * may not hold links, and must not be written to meanwhile.
 */
export async function resolveRooted(root: string, path: string, followLast: boolean): Promise<string | undefined> {
  const places = {
    lstat: (place: string) => lookAt(join(root, place)),
    readlink: (place: string) => readlink(join(root, place)),
  };
  return resolvePlace(places, path, followLast);
}

/**
 * Follows a path as a process would in a tree: it begins at the root whether it says so or not, symbolic links are
 * followed inside the tree, and nothing above its root can be reached. Returns the path without links, beginning with
 * "/"; undefined when a component is missing. With `followLast` false the last component is kept as it is, also when it
 * is missing. Every component on the way is looked at.
 */
export async function resolvePlace(places: Places, path: string, followLast: boolean): Promise<string | undefined> {
  const pending = path.split("/").toReversed();
  const done: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const part = pending.pop();
    if (part === undefined || part === "" || part === ".") continue;
    if (part === "..") {
      // At the root ".." stays there, as it does for a process whose root this is.
      done.pop();
      continue;
    }
    const place = seenFromRoot([...done, part]);
    const found = await places.lstat(place);
    const last = pending.every((rest) => rest === "" || rest === ".");
    if (found === undefined) return last && !followLast ? place : undefined;
    if (!found.isSymbolicLink() || (last && !followLast)) {
      if (!last && !found.isDirectory()) return undefined;
      done.push(part);
      continue;
    }
    links += 1;
    if (links > maxLinks) throw new Error(`${path}: too many symbolic links`);
    const target = await places.readlink(place);
    if (target.startsWith("/")) done.length = 0;
    pending.push(...target.split("/").toReversed());
  }
  return seenFromRoot(done);
}

function seenFromRoot(parts: readonly string[]): string {
  return `/${parts.join("/")}`;
}

/** Turns the errors that mean "there is no such thing" into undefined. */
export async function orUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

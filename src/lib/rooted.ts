import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { join } from "node:path";

/** As the kernel's limit for one path (path_resolution(7)). */
const maxLinks = 40;

/** What stands at a path of this machine, a link itself and not its target; undefined when nothing is there. */
export type Look = (path: string) => Promise<Stats | undefined>;

export const lookAt: Look = (path) => orUndefined(lstat(path));

/**
 * Follows a path as a process would whose root is `root`: it begins at the root whether it says so or not, symbolic
 * links are followed inside the root, and nothing above it can be reached. `root` itself may not hold links, and must
 * not be written to meanwhile. Returns the path without links, beginning with "/" and as seen from the root; undefined
 * when a component is missing. With `followLast` false the last component is kept as it is, also when it is missing.
 * Every component on the way is looked at through `look`, which gets paths of this machine.
 */
export async function resolveRooted(
  root: string,
  path: string,
  followLast: boolean,
  look: Look = lookAt,
): Promise<string | undefined> {
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
    const place = join(root, ...done, part);
    const found = await look(place);
    const last = pending.every((rest) => rest === "" || rest === ".");
    if (found === undefined) return last && !followLast ? seenFromRoot([...done, part]) : undefined;
    if (!found.isSymbolicLink() || (last && !followLast)) {
      if (!last && !found.isDirectory()) return undefined;
      done.push(part);
      continue;
    }
    links += 1;
    if (links > maxLinks) throw new Error(`${path}: too many symbolic links`);
    const target = await readlink(place);
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

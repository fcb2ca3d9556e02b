/**
 * Runs in a sandbox, beside the tree at its mount point: reads paths as JSON from standard input and prints, for each,
 * the path without links in it, and every link on the way. Links are followed as inside the tree, and never out of it.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { json } from "node:stream/consumers";
import { treeMountPoint } from "../sandbox/sandbox.ts";

const maxLinks = 40;

const found = new Set<string>();
const lstat = (path: string) => lstatSync(treeMountPoint + path, { throwIfNoEntry: false });

function resolve(path: string, links: number): void {
  const parts = path.split("/").filter((part) => part !== "");
  let done = "";
  for (const [index, part] of parts.entries()) {
    const here = `${done}/${part}`;
    if (links < maxLinks && lstatOrNothing(here)?.isSymbolicLink() === true) {
      found.add(here);
      const target = readlinkSync(treeMountPoint + here);
      const rest = parts.slice(index + 1).join("/");
      // normalize() of an absolute path stops at the root, as the kernel does in a chroot.
      return resolve(posix.normalize(posix.join(posix.isAbsolute(target) ? "/" : `${done}/`, target, rest)), links + 1);
    }
    done = here;
  }
  found.add(done === "" ? "/" : done);
}

/** A part of the path can be a file, below which there is nothing. */
function lstatOrNothing(path: string) {
  try {
    return lstat(path);
  } catch {
    return undefined;
  }
}

for (const path of (await json(process.stdin)) as string[]) resolve(posix.normalize(path), 0);
process.stdout.write(JSON.stringify([...found]));

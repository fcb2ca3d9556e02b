import { chmod, chown, mkdir, readdir, rename } from "node:fs/promises";
import { join, relative } from "node:path";
import { run, type RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import { toBytePath } from "../tree/byte-paths.ts";
import type { Found, Stack } from "../tree/stack.ts";
import { xattrsOfTree } from "../tree/xattrs.ts";

type Changing = Sandbox & { readonly changes: { readonly kind: "keep" } };

/**
 * Lays files over a tree, which is that of the sandbox, as root's. Folders that the tree has keep their owner and mode,
 * and links to folders (/lib -> usr/lib) are followed, not replaced. `put` writes the files into the layer, which is
 * empty; where they cannot stay as they are there, the tree is mounted and tar lays them over it.
 */
export async function layOver(
  put: (folder: string) => Promise<void>,
  sandbox: Changing,
  tree: Stack,
  options: RunOptions,
): Promise<void> {
  const { upper } = sandbox.changes;
  await put(upper);
  const folders = await plainFolders(upper, tree);
  if (folders === undefined) return layOverMounted(sandbox, options);
  for (const [path, { stats }] of folders) {
    const place = join(upper, path);
    await chown(place, Number(stats.uid), Number(stats.gid));
    await chmod(place, Number(stats.mode & 0o7777n));
  }
}

/**
 * The folders of a layer that the tree has too, by path, with what it has there. Undefined where the layer, as it is,
 * would not do what is wanted: it has a folder where the tree has something else, or something else where the tree has
 * a folder, or a folder that has extended attributes there.
 */
async function plainFolders(upper: string, tree: Stack): Promise<ReadonlyMap<string, Found> | undefined> {
  const folders = new Map<string, Found>();
  for (const entry of await readdir(upper, { recursive: true, withFileTypes: true })) {
    const path = relative(upper, join(entry.parentPath, entry.name));
    const found = await tree.topmost(toBytePath(path));
    if (found === undefined) continue;
    if (found.stats.isDirectory() !== entry.isDirectory()) return undefined;
    if (entry.isDirectory()) folders.set(path, found);
  }
  const xattrs = await tree.xattrsOf([...folders.values()]);
  return [...xattrs.values()].some((values) => xattrsOfTree(values).size > 0) ? undefined : folders;
}

/** The same with the tree mounted: tar finds its way in it. */
async function layOverMounted(sandbox: Changing, options: RunOptions): Promise<void> {
  const { upper } = sandbox.changes;
  const staging = join(sandbox.work, "staging");
  const archive = join(sandbox.work, "staging.tar");
  await mkdir(staging);
  for (const name of await readdir(upper)) await rename(join(upper, name), join(staging, name));
  await run(["tar", "-c", "--owner=0", "--group=0", "--numeric-owner", "-C", staging, "-f", archive, "."], options);
  const argv = [
    ...["tar", "-x", "--numeric-owner", "--same-permissions"],
    ...["--no-overwrite-dir", "--keep-directory-symlink"],
    ...["-C", treeMountPoint, "-f", archive],
  ] as const;
  await runInSandbox(sandbox, { at: "host", argv }, options);
}

import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ElSpec, SuseSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { resolveRooted } from "../../lib/rooted.ts";
import { databasePath, runApart, runInTree } from "./rpm-world.ts";
import type { BaseWorld } from "./types.ts";

/** What this host's rpm writes (`%_db_backend`). */
const hostBackend = "sqlite";

/**
 * Makes the tree's own rpm find the database that this host's has written. The release says where it should be and in
 * which form; a tree whose rpm says otherwise (SLE 15 and EL 8 have ndb and bdb) gets it from its own rpm, by the list
 * of headers that both understand (rpmdb(8), --exportdb and --importdb).
 */
export async function settleDatabase(spec: ElSpec | SuseSpec, tree: string, world: BaseWorld): Promise<void> {
  const written = databasePath(spec);
  await assertComplete(join(tree, written));
  if ((await resolveRooted(tree, "/usr/bin/rpm", true)) === undefined) return;
  const asked = await runInTree(tree, world, ["/usr/bin/rpm", "-E", "%{_dbpath} %{?_db_backend}%{!?_db_backend:bdb}"]);
  const [path = written, backend = hostBackend] = asked.stdout.trim().split(" ");
  const real = await resolveRooted(tree, path, true);
  if (real === (await resolveRooted(tree, written, true)) && backend === hostBackend) return;
  world.run.onLine(`the tree's own rpm has its database in ${path} (${backend}): it is moved there`, "stdout");
  await mkdir(join(world.folder, "exchange"), { recursive: true });
  // The lists are too large and too binary to pass through this process.
  const headers = join(world.folder, "exchange/headers");
  await runApart(["sh", "-c", 'rpmdb --root "$0" --exportdb >"$1"', tree, headers], world);
  const old = join(tree, written);
  for (const name of await readdir(old)) if (isHostFile(name)) await rm(join(old, name));
  await runInTree(tree, world, ["/bin/sh", "-c", "rpmdb --initdb && rpmdb --importdb </run/netkiln/headers"]);
}

const isHostFile = (name: string) => name === ".rpm.lock" || name.startsWith("rpmdb.sqlite");

/** What is still in the write-ahead log would be lost with it when the tree is normalised. */
async function assertComplete(folder: string): Promise<void> {
  const log = await stat(join(folder, "rpmdb.sqlite-wal")).catch(() => undefined);
  if (log === undefined || log.size === 0) return;
  throw new NetkilnError("work_failed", `rpm left its database unfinished: ${log.size} bytes in rpmdb.sqlite-wal`);
}

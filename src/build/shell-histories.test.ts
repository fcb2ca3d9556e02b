import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { run } from "../lib/exec.ts";
import { removeHistories } from "./shell-histories.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-shell-"));
after(() => rm(root, { recursive: true }));

test("what was typed is taken out of a layer, and nothing else", async () => {
  for (const folder of ["root", "home/kim", "etc"]) await mkdir(join(root, folder), { recursive: true });
  const files = ["root/.bash_history", "root/.profile", "home/kim/.lesshst", "home/kim/notes", "etc/.bash_history"];
  for (const file of files) await writeFile(join(root, file), "secret");
  await run(["mknod", join(root, "root/.viminfo"), "c", "0", "0"]);
  await symlink("/dev/null", join(root, "home/kim/.bash_history"));
  await removeHistories(root);
  const left = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  assert.deepEqual(left.sort(), [
    "etc/.bash_history",
    "home/kim/.bash_history",
    "home/kim/notes",
    "root/.profile",
    "root/.viminfo",
  ]);
});

test("links in the places of homes are not followed: they may lead to this machine's own", async () => {
  const layer = join(root, "layer");
  const outside = join(root, "outside");
  await mkdir(join(layer, "home"), { recursive: true });
  await mkdir(outside);
  await writeFile(join(outside, ".bash_history"), "theirs");
  await symlink(outside, join(layer, "root"));
  await symlink(outside, join(layer, "home/kim"));
  await removeHistories(layer);
  assert.deepEqual(await readdir(outside), [".bash_history"]);
});

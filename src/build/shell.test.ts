import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { run } from "../lib/exec.ts";
import { quoted, removeHistories } from "./shell.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-shell-"));
after(() => rm(root, { recursive: true }));

test("words reach a program through sh as they are", async () => {
  const words = ["a b", "it's", "$HOME", "`id`", 'say "no"', "", "-n", "back\\slash", "two\nlines", "*"];
  const { stdout } = await run(["sh", "-c", `printf '%s\\0' ${quoted(words)}`]);
  assert.deepEqual(stdout.split("\0").slice(0, -1), words);
});

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

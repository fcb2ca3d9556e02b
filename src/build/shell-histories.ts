import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Files in which programs write down what was typed. */
const histories: ReadonlySet<string> = new Set([
  ...[".bash_history", ".sh_history", ".ash_history", ".zsh_history", ".history"],
  ...[".python_history", ".lesshst", ".viminfo", ".mysql_history", ".psql_history", ".sqlite_history"],
]);

/** Only those of the layer: what the image has stays as it is there. */
export async function removeHistories(upper: string): Promise<void> {
  const users = await namesIn(join(upper, "home"));
  for (const home of ["", "root", ...users.map((user) => join("home", user))]) {
    for (const name of await namesIn(join(upper, home))) {
      if (!histories.has(name)) continue;
      const file = join(upper, home, name);
      if ((await lstat(file)).isFile()) await rm(file);
    }
  }
}

/** Of a folder of the layer itself: a link in its place may lead out of the layer. */
async function namesIn(folder: string): Promise<string[]> {
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true ? readdir(folder) : [];
}

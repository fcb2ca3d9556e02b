import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { packTar, type TarEntry } from "modern-tar";

/**
 * A tar archive of a folder's content. What is no file or folder goes in as what it is, so that the server, which
 * refuses it, can name it.
 */
export async function packFolder(folder: string): Promise<Buffer> {
  const entries: TarEntry[] = [];
  const visit = async (path: string) => {
    for (const name of (await readdir(join(folder, path))).sort()) {
      const inner = path === "" ? name : `${path}/${name}`;
      const found = await lstat(join(folder, inner));
      if (found.isDirectory()) await visit(inner);
      else if (found.isFile()) {
        const body = await readFile(join(folder, inner));
        entries.push({ header: { name: inner, size: body.length, type: "file", mode: found.mode & 0o777 }, body });
      } else entries.push({ header: { name: inner, size: 0, type: "symlink", linkname: "?" } });
    }
  };
  await visit("");
  return Buffer.from(await packTar(entries));
}

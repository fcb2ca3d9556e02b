import { packTar, type TarEntry } from "modern-tar";
import { checksumOf } from "./tar.ts";

export type PlantedEntry = TarEntry;

/** For tests: an entry of a tar archive. `link` is the target of a link. */
export function tarEntry(
  name: string,
  type: NonNullable<TarEntry["header"]["type"]> = "file",
  link = "",
  body = "",
): PlantedEntry {
  return { header: { name, type, size: body.length, linkname: link, mtime: new Date(0) }, body };
}

/** For tests: an archive that another writer than ours has made. */
export async function tarOf(...entries: readonly PlantedEntry[]): Promise<Buffer> {
  return Buffer.from(await packTar([...entries]));
}

/** For tests: writes over fields of the header that begins at `at`, and makes its checksum right again. */
export function patchTar(archive: Buffer, at: number, fields: Readonly<Record<number, string>>): Buffer {
  const changed = Buffer.from(archive);
  for (const [field, bytes] of Object.entries(fields)) changed.write(bytes, at + Number(field), "latin1");
  const sum = checksumOf(changed.subarray(at, at + 512));
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  return changed;
}

/** For tests: a stream in pieces that end nowhere in particular. */
export async function* inPieces(bytes: Buffer, size = 700): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

import type { ByteReader } from "../../lib/byte-reader.ts";
import { readTar, type TarType } from "../tree/tar-reader.ts";
import { copyAgain, EntryRules, type ArchiveSummary, type EntryKind } from "./entry-rules.ts";

const kinds: Readonly<Record<Exclude<TarType, "volume label">, EntryKind>> = {
  file: "file",
  "sparse file": "file",
  "hard link": "link",
  "symbolic link": "symlink",
  "character device": "device",
  "block device": "device",
  folder: "directory",
  fifo: "fifo",
};

const hint = `${copyAgain}; GNU tar makes archives that can be read (tar -C ROOT -c .)`;

/**
 * Looks at every header of a tar archive of a whole root tree; contents are passed over.
 * Throws `invalid_input` when it is damaged, or when an entry could be written outside its tree.
 */
export async function scanRootTar(reader: ByteReader): Promise<ArchiveSummary> {
  const rules = new EntryRules();
  for await (const { type, path, link } of readTar(reader, { name: "the archive", hint })) {
    // What tar --label has noted is no part of the tree.
    if (type === "volume label") continue;
    const kind = kinds[type];
    rules.add({ path, kind, ...(kind === "link" && { target: link }) });
  }
  return rules.finish();
}

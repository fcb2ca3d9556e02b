import { link, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../lib/exec.ts";
import { writeFileAtomic } from "../lib/files.ts";

/** The key by which sessions come to live nodes. */
export interface NodeKey {
  /** The private half, for ssh. */
  readonly file: string;
  /** As authorized_keys has it, in one line. */
  readonly publicKey: string;
  /** The keys of the nodes, each taken in when the node was met first. */
  readonly knownHosts: string;
}

/** Makes the key when there is none yet. Of several who make one at the same time, all get the same. */
export async function nodeKey(folder: string): Promise<NodeKey> {
  const file = join(folder, "key");
  const publicFile = join(folder, "key.pub");
  await mkdir(folder, { recursive: true });
  if ((await stat(file).catch(() => undefined)) === undefined) await make(folder, file);
  const known = await readFile(publicFile, "utf8").catch(() => undefined);
  const publicKey = known ?? (await run(["ssh-keygen", "-y", "-f", file])).stdout;
  if (known === undefined) await writeFileAtomic(publicFile, publicKey);
  return { file, publicKey: publicKey.trim(), knownHosts: join(folder, "known_hosts") };
}

async function make(folder: string, file: string): Promise<void> {
  const temporary = await mkdtemp(join(folder, ".new-"));
  try {
    const made = join(temporary, "key");
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netkiln", "-f", made]);
    // Unlike a rename it leaves a key that somebody else has made meanwhile.
    await link(made, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(temporary, { recursive: true });
  }
}

import { typeOf, type FileStats, type TreeReader } from "../tree.ts";
import type { Accounts } from "./accounts.ts";
import { absent, value, type Fact, type Properties } from "./fact.ts";

export type FileProperty =
  | "exists"
  | "mode"
  | "owner"
  | "uid"
  | "group"
  | "gid"
  | "linked-to"
  | "filetype"
  | "contents"
  | "size"
  | "md5"
  | "sha256"
  | "sha512";

/** As goss: what the path itself is, links not followed, but contents and digests are those of a link's target. */
export function resolveFile(tree: TreeReader, accounts: Accounts, path: string): Properties<FileProperty> {
  const of = (pick: (found: FileStats) => Fact | Promise<Fact>) => async () => {
    const found = await tree.lstat(path);
    return found === undefined ? absent(`${path} does not exist`) : pick(found);
  };
  const digest = (algorithm: "md5" | "sha256" | "sha512") => () =>
    ofContent(tree, path, async () => value(await tree.digest(path, algorithm)));
  return {
    exists: async () => value((await tree.lstat(path)) !== undefined),
    mode: of((found) => value((found.mode & 0o7777).toString(8).padStart(4, "0"))),
    owner: of(({ uid }) => named(accounts.users.find((user) => user.uid === uid)?.name, `uid ${uid}`, "/etc/passwd")),
    uid: of(({ uid }) => value(uid)),
    group: of(({ gid }) => named(accounts.groups.find((group) => group.gid === gid)?.name, `gid ${gid}`, "/etc/group")),
    gid: of(({ gid }) => value(gid)),
    "linked-to": of(async (found) => {
      const target = await tree.readlink(path);
      return target === undefined ? absent(`${path} is a ${typeOf(found)}, not a symbolic link`) : value(target);
    }),
    filetype: of((found) => value(typeOf(found))),
    contents: () => ofContent(tree, path, (target) => contentsOf(tree, path, target)),
    size: of(({ size }) => value(size)),
    md5: digest("md5"),
    sha256: digest("sha256"),
    sha512: digest("sha512"),
  };
}

function named(name: string | undefined, id: string, file: string): Fact {
  return name === undefined ? absent(`${id} has no name in ${file}`) : value(name);
}

async function ofContent(tree: TreeReader, path: string, read: (target: FileStats) => Promise<Fact>): Promise<Fact> {
  const target = await tree.stat(path);
  if (target === undefined) return absent(`${path} leads to nothing: what it links to does not exist`);
  if (!target.isFile()) return absent(`${path} is a ${typeOf(target)}, it has no contents`);
  return read(target);
}

/** A verdict is kept and shown: what files of the image hold, keys and password hashes too, does not go into it. */
async function contentsOf(tree: TreeReader, path: string, target: FileStats): Promise<Fact> {
  return { state: "value", value: await tree.readText(path), shown: `${target.size} bytes` };
}

import type { TreeReader } from "../tree.ts";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

export interface AccountGroup {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The accounts of the image itself; a directory service that nodes may use is not asked. */
export interface Accounts {
  readonly users: readonly Account[];
  readonly groups: readonly AccountGroup[];
}

/** Reads the tree's own passwd(5) and group(5); a file that is not there has no accounts. */
export async function readAccounts(tree: TreeReader): Promise<Accounts> {
  const users = (await readRecords(tree, "/etc/passwd", 7)).map(([name = "", , uid, gid, , home = "", shell = ""]) => ({
    name,
    uid: Number(uid),
    gid: Number(gid),
    home,
    shell,
  }));
  const groups = (await readRecords(tree, "/etc/group", 4)).map(([name = "", , gid, members = ""]) => ({
    name,
    gid: Number(gid),
    members: members.split(",").filter((member) => member !== ""),
  }));
  return { users, groups };
}

async function readRecords(tree: TreeReader, path: string, fields: number): Promise<string[][]> {
  const text = (await tree.readText(path)) ?? "";
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"))
    .filter((record) => record.length === fields);
}

import type { Account, Accounts } from "./accounts.ts";
import { absent, value, type Fact, type Properties } from "./fact.ts";

export type UserProperty = "exists" | "uid" | "gid" | "home" | "groups" | "shell";

export function resolveUser({ users, groups }: Accounts, name: string): Properties<UserProperty> {
  const user = users.find((candidate) => candidate.name === name);
  const of = (pick: (account: Account) => unknown) => async (): Promise<Fact> =>
    user === undefined ? absent(`there is no user ${name} in /etc/passwd`) : value(pick(user));
  return {
    exists: async () => value(user !== undefined),
    uid: of((account) => account.uid),
    gid: of((account) => account.gid),
    home: of((account) => account.home),
    // goss counts the primary group among them (system/user_group_unix.go).
    groups: of((account) =>
      groups
        .filter((group) => group.gid === account.gid || group.members.includes(name))
        .map((group) => group.name)
        .sort(),
    ),
    shell: of((account) => account.shell),
  };
}

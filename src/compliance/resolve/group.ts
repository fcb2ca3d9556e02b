import type { Accounts } from "./accounts.ts";
import { absent, value, type Properties } from "./fact.ts";

export type GroupProperty = "exists" | "gid";

export function resolveGroup({ groups }: Accounts, name: string): Properties<GroupProperty> {
  const group = groups.find((candidate) => candidate.name === name);
  return {
    exists: async () => value(group !== undefined),
    gid: async () => (group === undefined ? absent(`there is no group ${name} in /etc/group`) : value(group.gid)),
  };
}

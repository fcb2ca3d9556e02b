/** The inventory of sessions on live nodes, as Ansible reads it (the yaml plugin takes JSON). */

export interface InventoryHost {
  /** As plays and `ansible_limit` name it: the xname, or what a session's target says. It stands in options of ssh. */
  readonly name: string;
  /** Where it is reached; its name when nobody knows. */
  readonly address: string | undefined;
  readonly groups: readonly string[];
}

/**
 * Ansible's own group for all hosts, with every group below it. The key of a host is known by the host's name: its
 * address may be another's tomorrow.
 */
export function inventoryText(hosts: readonly InventoryHost[]): string {
  const children = new Map<string, { hosts: Record<string, object> }>();
  const inGroups = hosts.flatMap(({ name, groups }) => groups.map((group) => [group, name] as const));
  for (const [group, members] of Map.groupBy(inGroups, ([group]) => group)) {
    children.set(group, { hosts: Object.fromEntries(members.map(([, name]) => [name, {}])) });
  }
  const all = hosts.map(({ name, address }) => [
    name,
    { ...(address !== undefined && { ansible_host: address }), ansible_ssh_extra_args: `-o HostKeyAlias=${name}` },
  ]);
  const vars = { cray_cfs_image: false, ansible_connection: "ssh" };
  return JSON.stringify({
    all: { vars, hosts: Object.fromEntries(all) as object, children: Object.fromEntries(children) },
  });
}

/** Names that HSM has for a node, as CFS makes groups of them. */
export function roleGroups({
  role,
  subRole,
}: {
  readonly role: string;
  readonly subRole: string | undefined;
}): string[] {
  return subRole === undefined ? [role] : [role, `${role}_${subRole}`];
}

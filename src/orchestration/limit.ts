import type { Node } from "../node/index.ts";

/** Nodes by the names that boot sets and limits use: groups, roles, ROLE_SUBROLE, and each node's own alias. */
export function nodesByName(nodes: readonly Node[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const { xname, alias, groups, role, subRole } of nodes) {
    for (const name of [alias, ...groups, role, ...(subRole === undefined ? [] : [`${role}_${subRole}`])]) {
      names.set(name, (names.get(name) ?? new Set()).add(xname));
    }
  }
  return names;
}

/**
 * Applies a session's limit to the nodes of a boot set, as BOS does: the items are taken from left to right, beginning
 * with no node; `&` in front of an item keeps what is in both, `!` takes the item away, nothing adds it. An item is
 * an xname, an alias (nid000001), a group, a role, or `all` or `*` for the whole boot set. An empty limit keeps every node.
 */
export function applyLimit(
  limit: string,
  candidates: ReadonlySet<string>,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): Set<string> {
  if (limit === "") return new Set(candidates);
  let chosen = new Set<string>();
  for (const item of limit.split(",")) {
    const sign = /^[&!]/.exec(item)?.[0];
    const name = sign === undefined ? item : item.slice(1);
    const meant = name === "all" || name === "*" ? candidates : (names.get(name) ?? new Set([name]));
    if (sign === undefined) chosen = new Set([...chosen, ...meant]);
    else chosen = new Set([...chosen].filter((xname) => meant.has(xname) === (sign === "&")));
  }
  return new Set([...chosen].filter((xname) => candidates.has(xname)));
}

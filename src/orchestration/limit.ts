import { canonicalXname } from "../node/index.ts";

/** The names in a limit, without their signs. */
export function namesInLimit(limit: string): string[] {
  return limit === "" ? [] : limit.split(",").map((item) => item.replace(/^[&!]/, ""));
}

/**
 * Applies a session's limit to the nodes of a boot set, as BOS does: the items are taken from left to right, beginning
 * with no node; `&` in front of an item keeps what is in both, `!` takes the item away, nothing adds it. An item is
 * an xname, an alias (nid000001), a group, a role, or `all` or `*` for the whole boot set. An empty limit keeps every node.
 * @param names which nodes each name means; one that is not there is taken for an xname
 */
export function applyLimit(
  limit: string,
  candidates: ReadonlySet<string>,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> {
  if (limit === "" || limit === "*" || limit === "all") return candidates;
  let chosen = new Set<string>();
  for (const item of limit.split(",")) {
    const sign = /^[&!]/.exec(item)?.[0];
    const name = sign === undefined ? item : item.slice(1);
    const meant = name === "all" || name === "*" ? candidates : (names.get(name) ?? new Set([canonicalXname(name)]));
    if (sign === undefined) for (const xname of meant) chosen.add(xname);
    else if (sign === "!") for (const xname of meant) chosen.delete(xname);
    else chosen = inBoth(chosen, meant);
  }
  return inBoth(chosen, candidates);
}

function inBoth(some: ReadonlySet<string>, others: ReadonlySet<string>): Set<string> {
  return new Set([...some].filter((xname) => others.has(xname)));
}

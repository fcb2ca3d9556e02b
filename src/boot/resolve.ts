import type { Node, NodeStore } from "../node/index.ts";
import type { BootEntryStore } from "./store.ts";
import { defaultTag, type BootEntry, type EntryKind } from "./types.ts";

/** How a node names itself when it asks what to boot; one of them is given. */
export interface BootQuery {
  readonly mac?: string | undefined;
  /** xname or alias. */
  readonly name?: string | undefined;
  readonly nid?: number | undefined;
}

export interface Resolution {
  readonly node: Node | undefined;
  /** Only an entry with a kernel: nothing can be booted without. */
  readonly entry: BootEntry | undefined;
  /** One sentence that says why this entry, or why none. */
  readonly because: string;
}

/**
 * Which boot parameters a node gets: its own by xname, then alias, then MAC addresses, then nid, then those of its
 * role, then `Default`.
 */
export async function resolveBoot(
  stores: { nodes: Pick<NodeStore, "find">; entries: Pick<BootEntryStore, "get"> },
  query: BootQuery,
): Promise<Resolution> {
  const asked = query.mac ?? query.name ?? String(query.nid ?? "");
  const node = await stores.nodes.find(asked);
  if (node === undefined) return { node, entry: undefined, because: `${asked} is no node of the inventory` };
  const places: readonly { kind: EntryKind; name: string; what: string }[] = [
    { kind: "host", name: node.xname, what: "its own boot parameters" },
    { kind: "host", name: node.alias, what: `the boot parameters of its alias ${node.alias}` },
    ...node.interfaces.map(({ mac }) => ({ kind: "mac" as const, name: mac, what: `those of its MAC address ${mac}` })),
    { kind: "nid", name: String(node.nid), what: `those of its nid ${node.nid}` },
    { kind: "host", name: node.role, what: `those of the role ${node.role}` },
    { kind: "host", name: defaultTag, what: `those of ${defaultTag}` },
  ];
  const passed: string[] = [];
  for (const { kind, name, what } of places) {
    const entry = await stores.entries.get(kind, name);
    if (entry === undefined) continue;
    if (entry.kernel !== "") return { node, entry, because: `${node.xname} gets ${what}${passed.join("")}` };
    passed.push(`; ${what} name no kernel`);
  }
  const because = `there are no boot parameters for ${node.xname}, its role ${node.role} or ${defaultTag}`;
  return { node, entry: undefined, because: `${because}${passed.join("")}` };
}

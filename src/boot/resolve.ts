import { nameKind, type NamedNode, type NodeFinder } from "../node/index.ts";
import { keysOfNode } from "./names.ts";
import type { BootEntryStore } from "./store.ts";
import { defaultTag, unknownPrefix, type BootEntry, type EntryKey } from "./types.ts";

/** How a node names itself when it asks what to boot; one of the first three is given. */
export interface BootQuery {
  readonly mac?: string | undefined;
  /** xname or alias. */
  readonly name?: string | undefined;
  readonly nid?: number | undefined;
  /** What it is built for, in iPXE's words (`${buildarch}`). */
  readonly arch?: string | undefined;
}

export interface Resolution {
  readonly node: NamedNode | undefined;
  /** Only an entry with a kernel: nothing can be booted without. */
  readonly entry: BootEntry | undefined;
  /** One sentence that says why this entry, or why none. */
  readonly because: string;
  /** The entry is that for nodes that are not known: nothing of this node goes into its script. */
  readonly unknown: boolean;
  /** There are entries for unknown nodes, and which it is depends on the architecture, which was not said. */
  readonly asksArch: boolean;
}

export interface ResolveStores {
  readonly nodes: Pick<NodeFinder, "find">;
  readonly entries: Pick<BootEntryStore, "at" | "hasUnknown">;
}

/**
 * Which boot parameters a node gets: its own by xname, then alias, then MAC addresses, then nid, then by the name that
 * it gave, then those of its role, then `Default`. A node that is not known, is disabled or would get nothing gets those
 * of `Unknown-ARCH` where there are some.
 * @param blockedRoles nodes of these roles get nothing from `Default`
 */
export function resolveBoot(
  { nodes, entries }: ResolveStores,
  query: BootQuery,
  blockedRoles: readonly string[] = [],
): Resolution {
  const asked = askedName(query);
  const node = nodes.find(asked);
  const usual = node === undefined ? notKnown(asked) : entryOfNode(entries, node, asked, blockedRoles);
  if (node?.enabled === true && usual.entry !== undefined) return usual;
  const reason = node?.enabled === false ? `${node.xname} is disabled` : usual.because;
  return entryOfUnknown(entries, query.arch, { ...usual, because: reason }) ?? usual;
}

/** By which of its names the node asks, as it says it. */
export function nameOf({ mac, name, nid }: BootQuery): string {
  return mac ?? name ?? String(nid ?? "");
}

function askedName(query: BootQuery): string {
  const asked = nameOf(query);
  const { kind, value } = nameKind(asked);
  return kind === "xname" ? value : asked;
}

function notKnown(asked: string): Resolution {
  const because = `${asked} is no node of the inventory`;
  return { node: undefined, entry: undefined, because, unknown: false, asksArch: false };
}

function entryOfNode(
  entries: ResolveStores["entries"],
  node: NamedNode,
  asked: string,
  blockedRoles: readonly string[],
): Resolution {
  const blocked = blockedRoles.some((role) => role.toLowerCase() === node.role.toLowerCase());
  const own = keysOfNode(node).map((key) => ({ key, what: whatOf(key, node) }));
  const shared: Place[] = [
    { key: { kind: "host", name: asked }, what: `those of the name ${asked}` },
    { key: { kind: "host", name: node.role }, what: `those of the role ${node.role}` },
    ...(blocked ? [] : [{ key: { kind: "host", name: defaultTag } as const, what: `those of ${defaultTag}` }]),
  ];
  const places = [...own, ...shared];
  const passed: string[] = [];
  const fits = { node, unknown: false, asksArch: false };
  for (const { key, what } of places) {
    const entry = entries.at(key);
    if (entry === undefined) continue;
    if (entry.kernel !== "") return { ...fits, entry, because: `${node.xname} gets ${what}${passed.join("")}` };
    passed.push(`; ${what} name no kernel`);
  }
  const because = blocked
    ? `the role ${node.role} is blocked, and there are no boot parameters for ${node.xname} or its role`
    : `there are no boot parameters for ${node.xname}, its role ${node.role} or ${defaultTag}`;
  return { ...fits, entry: undefined, because: `${because}${passed.join("")}` };
}

interface Place {
  readonly key: EntryKey;
  readonly what: string;
}

function whatOf({ kind, name }: EntryKey, { xname, alias }: NamedNode): string {
  if (kind === "mac") return `those of its MAC address ${name}`;
  if (kind === "nid") return `those of its nid ${name}`;
  if (name === xname) return "its own boot parameters";
  return `the boot parameters of its alias ${alias}`;
}

/** Undefined when there is nothing for such nodes; then a node that is known gets what it would get otherwise. */
function entryOfUnknown(
  entries: ResolveStores["entries"],
  arch: string | undefined,
  usual: Resolution,
): Resolution | undefined {
  if (!entries.hasUnknown()) return undefined;
  const none = { ...usual, entry: undefined };
  if (arch === undefined)
    return { ...none, because: `${usual.because}; its architecture is asked for`, asksArch: true };
  const tag = `${unknownPrefix}${arch}`;
  const entry = entries.at({ kind: "host", name: tag });
  if (entry !== undefined && entry.kernel !== "")
    return { ...usual, entry, because: `${usual.because}; it gets those of ${tag}`, unknown: true };
  return usual.entry === undefined ? { ...none, because: `${usual.because}, and none for ${tag}` } : undefined;
}

import { NetkilnError } from "../lib/errors.ts";
import { canonicalMac, canonicalXname, typeOfXname, type NamedNode, type NodeFinder } from "../node/index.ts";
import type { EntryKey, EntryNames } from "./types.ts";

/** Throws `invalid_input`, with all mistakes, for names that no node and no role can have. */
export function requireNames({ hosts, macs, nids }: EntryNames): EntryNames {
  const badHosts = hosts.filter((host) => !isHost(host)).map((host) => `"${host}" is no xname of a node and no tag`);
  const badMacs = macs.filter((mac) => canonicalMac(mac) === undefined).map((mac) => `"${mac}" is no MAC address`);
  const badNids = nids.filter((nid) => !isNid(nid)).map((nid) => `${nid} is no nid`);
  const problems = [...badHosts, ...badMacs, ...badNids].map((message) => ({ message }));
  if (problems.length > 0) {
    const more = problems.length === 1 ? "" : `, and ${problems.length - 1} more like it`;
    throw new NetkilnError("invalid_input", `${problems[0]?.message}${more}`, {
      problems,
      hint: "hosts are xnames such as x1000c0s0b0n0, aliases, roles, Default, Global or Unknown-ARCH",
    });
  }
  return { hosts, macs, nids };
}

/** What looks like a place has to be that of a node; anything else may be the role of a site. */
function isHost(host: string): boolean {
  if (!/^x\d/i.test(host)) return /^[A-Za-z0-9][\w.:-]{0,63}$/.test(host);
  const type = typeOfXname(canonicalXname(host));
  return type === "Node" || type === "VirtualNode";
}

function isNid(nid: number): boolean {
  return Number.isSafeInteger(nid) && nid >= 0 && nid <= 999_999_999;
}

/** The names in the form in which entries stand under them, each once. */
function keysOf({ hosts, macs, nids }: EntryNames): EntryKey[] {
  const keys: EntryKey[] = [
    ...hosts.map((host) => ({ kind: "host" as const, name: /^x\d/i.test(host) ? canonicalXname(host) : host })),
    ...macs.map((mac) => ({ kind: "mac" as const, name: canonicalMac(mac) ?? mac })),
    ...nids.map((nid) => ({ kind: "nid" as const, name: String(nid) })),
  ];
  return [...new Map(keys.map((key) => [textOf(key), key])).values()];
}

/** Every name under which an entry of this node may stand, those first that come first for its boot. */
export function keysOfNode({ xname, alias, nid, interfaces }: NamedNode): EntryKey[] {
  return [
    { kind: "host", name: xname },
    { kind: "host", name: alias },
    ...interfaces.map(({ mac }) => ({ kind: "mac" as const, name: mac })),
    { kind: "nid", name: String(nid) },
  ];
}

/** What one request names, once for each node: the name that was said first, and all others of that node. */
export interface Named {
  readonly key: EntryKey;
  readonly same: readonly EntryKey[];
}

/** Names of the same node are one: `hosts`, `macs` and `nids` may say each node three times. */
export function namedBy(names: EntryNames, nodes: Pick<NodeFinder, "among">): Named[] {
  const keys = keysOf(names);
  const among = nodes.among({
    xnames: keys.flatMap(({ kind, name }) => (kind === "host" ? [name] : [])),
    macs: keys.flatMap(({ kind, name }) => (kind === "mac" ? [name] : [])),
    nids: keys.flatMap((key) => nidOf(key) ?? []),
  });
  const owner = new Map<string, NamedNode>();
  for (const node of among) for (const key of keysOfNode(node)) owner.set(textOf(key), node);
  const seen = new Set<NamedNode>();
  return keys.flatMap((key) => {
    const nid = nidOf(key);
    const node = owner.get(textOf(key)) ?? (nid === undefined ? undefined : owner.get(textOf(nidKey(nid))));
    if (node === undefined) return [{ key, same: [key] }];
    if (seen.has(node)) return [];
    seen.add(node);
    const same = keysOfNode(node);
    return [{ key, same: same.some((one) => textOf(one) === textOf(key)) ? same : [key, ...same] }];
  });
}

/** Of an alias too, with any number of zeros. */
function nidOf({ kind, name }: EntryKey): number | undefined {
  const digits = kind === "nid" ? name : kind === "host" ? /^nid(\d{1,9})$/.exec(name)?.[1] : undefined;
  return digits === undefined ? undefined : Number(digits);
}

function nidKey(nid: number): EntryKey {
  return { kind: "nid", name: String(nid) };
}

/** For maps. */
export function textOf({ kind, name }: EntryKey): string {
  return `${kind} ${name}`;
}

import { prepareRead, type Database } from "../lib/db.ts";
import { aliasOf, nameKind, type Node } from "./types.ts";

/** Of a node what decides about its boot. */
export type NamedNode = Pick<Node, "xname" | "nid" | "alias" | "role" | "enabled" | "kernelParameters"> & {
  readonly interfaces: readonly { readonly mac: string }[];
};

/** Nodes by their names, for questions that come by the thousand. It sees what is committed. */
export interface NodeFinder {
  /** By the same names as `NodeStore.find`. */
  find(name: string): NamedNode | undefined;
  /** The next ones by xname, at most so many. */
  after(xname: string, count: number): NamedNode[];
  /** All that one of these names means. */
  among(names: { xnames: readonly string[]; nids: readonly number[]; macs: readonly string[] }): NamedNode[];
}

interface Row {
  readonly xname: string;
  readonly nid: number | null;
  readonly role: string | null;
  readonly enabled: number;
  readonly kernel_parameters: string;
  /** In JSON; each with its position, as SQLite would make a table of its own to sort them. */
  readonly macs: string;
}

/** The plus keeps SQLite from going through all nodes by the index of types. */
const select = `
  select node.xname, nid, role, enabled, kernel_parameters,
    (select json_group_array(json_array(position, mac)) from inventory_interface where xname = node.xname) as macs
  from inventory_component as node
  where +node.type = 'Node' and`;
const ownerOf = "select xname from inventory_interface where mac";

export function openNodeFinder(db: Database): NodeFinder {
  const by = {
    xname: prepareRead<Row>(db, `${select} node.xname = ?`),
    nid: prepareRead<Row>(db, `${select} nid = ?`),
    mac: prepareRead<Row>(db, `${select} node.xname = (${ownerOf} = ?)`),
  };
  const after = prepareRead<Row>(db, `${select} node.xname > ? order by node.xname limit ?`);
  const among = prepareRead<Row>(
    db,
    `${select} node.xname in (
      select value from json_each(?)
      union select xname from inventory_component where nid in (select value from json_each(?))
      union ${ownerOf} in (select value from json_each(?)))`,
  );
  return {
    find: (name) => {
      const { kind, value } = nameKind(name);
      return by[kind](value).map(toNode)[0];
    },
    after: (xname, count) => after(xname, count).map(toNode),
    among: ({ xnames, nids, macs }) =>
      among(JSON.stringify(xnames), JSON.stringify(nids), JSON.stringify(macs)).map(toNode),
  };
}

function toNode(row: Row): NamedNode {
  const nid = row.nid ?? 0;
  return {
    xname: row.xname,
    nid,
    alias: aliasOf(nid),
    role: row.role ?? "Compute",
    enabled: row.enabled !== 0,
    kernelParameters: row.kernel_parameters,
    interfaces: (JSON.parse(row.macs) as [position: number, mac: string][])
      .sort(([a], [b]) => a - b)
      .map(([, mac]) => ({ mac })),
  };
}

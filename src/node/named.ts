import { sql, type Database, type RawBuilder } from "../lib/db.ts";
import { aliasOf, type NodeArch } from "./types.ts";

/** The xnames of all nodes, for a query of another room to select from. */
export const nodeXnames: RawBuilder<{ xname: string }> =
  sql`(select xname from inventory_component where type = 'Node')`;

/** Sets of nodes, by the names that boot sets and limits use. Quick with tens of thousands of nodes. */
export interface NodeNames {
  /**
   * What each name means: an xname, an alias, a group, a role, or ROLE_SUBROLE. Names of nothing are left out. In a group
   * may be what is no node; `eligible` leaves that out.
   */
  named(names: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>>;
  /** Those that are nodes that a session may act upon, sorted: not locked, and as is wanted. */
  eligible(xnames: ReadonlySet<string>, wanted: EligibleQuery): Promise<string[]>;
}

export interface EligibleQuery {
  readonly archs: readonly NodeArch[];
  readonly includeDisabled: boolean;
}

export function openNodeNames(db: Database): NodeNames {
  return {
    named: async (names) => {
      const aliases = names.flatMap((name) => {
        const nid = Number(/^nid(\d{1,12})$/.exec(name)?.[1] ?? Number.NaN);
        return aliasOf(nid) === name ? [[name, nid]] : [];
      });
      // Many xnames come as one text: a row for each would take most of the time.
      const { rows } = await sql<{ name: string; xnames: string }>`
        with wanted as (select distinct value as name from json_each(${JSON.stringify(names)}))
        select name, xnames from (
          select name, (
            select json_group_array(xname) from inventory_component where xname = name and +type = 'Node'
          ) as xnames from wanted
          union all
          select name, (select json_group_array(xname) from inventory_component where role = name) from wanted
          union all
          select name, (
            select json_group_array(xname) from inventory_member where kind = 'group' and label = name
          ) from wanted
          union all
          select name, (
            select json_group_array(xname) from inventory_component where sub_role = pair.sub_role and role = pair.role
          ) from wanted
            cross join (select distinct role, sub_role from inventory_component where sub_role is not null) as pair
              on name = pair.role || '_' || pair.sub_role
          union all
          select value ->> 0, (
            select json_group_array(xname) from inventory_component where nid = value ->> 1
          ) from json_each(${JSON.stringify(aliases)})
        ) where xnames <> '[]'`.execute(db);
      const found = new Map<string, Set<string>>();
      for (const { name, xnames } of rows) {
        const more = JSON.parse(xnames) as string[];
        const known = found.get(name);
        if (known === undefined) found.set(name, new Set(more));
        else for (const xname of more) known.add(xname);
      }
      return found;
    },
    eligible: async (xnames, { archs, includeDisabled }) => {
      // To walk over all nodes takes less than to look many of them up.
      const { rows } = await sql<{ all: string }>`
        select json_group_array(xname) as "all" from inventory_component
        where +type = 'Node' and +locked = 0
          and +arch in (${sql.join(archs)}) and (+enabled = 1 or ${Number(includeDisabled)} = 1)`.execute(db);
      return (JSON.parse(rows[0]?.all ?? "[]") as string[]).filter((xname) => xnames.has(xname)).sort();
    },
  };
}

import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Tables } from "./migrations.ts";
import { defaultOptions } from "./options.ts";
import { writeConfiguration } from "./store.ts";
import type { Configuration, Login, PinnedRepository, Source } from "./types.ts";

export interface SourceContent extends Pick<Source, "description" | "cloneUrl" | "caCert"> {
  /** A new secret is made of it. */
  readonly login?: Login;
  /** The name of a secret that is there, or will be. */
  readonly secretName?: string;
}

export interface SourceQuery {
  readonly limit: number;
  readonly after?: string | undefined;
  /** Only those that a configuration or an option names, or only those that none does. */
  readonly inUse?: boolean | undefined;
}

export interface SourceStore {
  /** Throws `conflict` when the name is taken. */
  create(name: string, content: SourceContent): Promise<Source>;
  /** Configurations that name it have the new place from now on. Throws `not_found`. */
  change(name: string, content: Partial<SourceContent>): Promise<Source>;
  find(name: string): Promise<Source | undefined>;
  list(query: SourceQuery): Promise<Source[]>;
  /** Throws `not_found`, and `invalid_input` while it is in use. */
  remove(name: string): Promise<void>;
  /** How git is to present itself at a repository. */
  loginFor(url: string): Promise<Login | undefined>;
}

export function openSourceStore(database: Database): SourceStore {
  const db = database.withTables<Tables>();
  const find = async (name: string) => (await rowOf(db, name))?.source;
  return {
    find,
    create: async (name, content) =>
      db.transaction().execute(async (trx) => {
        if ((await rowOf(trx, name)) !== undefined) {
          throw new NetkilnError("conflict", `A source with the name ${name} already exists`);
        }
        return write(trx, { name, lastUpdated: timestamp(), cloneUrl: content.cloneUrl }, content, null);
      }),
    change: async (name, content) =>
      db.transaction().execute(async (trx) => {
        const row = await rowOf(trx, name);
        if (row === undefined) throw missing(name);
        const source = await write(trx, { ...row.source, lastUpdated: timestamp() }, content, row.secret);
        if (source.cloneUrl !== row.source.cloneUrl) await moveLayers(trx, source);
        return source;
      }),
    list: async ({ limit, after = "", inUse }) => {
      const used = inUseCondition();
      const query = db
        .selectFrom("configuration_source")
        .select("data")
        .where("name", ">", after)
        .$if(inUse !== undefined, (rows) => rows.where(inUse === true ? used : sql<boolean>`not ${used}`))
        .orderBy("name")
        .limit(limit);
      return (await query.execute()).map(({ data }) => JSON.parse(data) as Source);
    },
    remove: async (name) => {
      await db.transaction().execute(async (trx) => {
        if ((await rowOf(trx, name)) === undefined) throw missing(name);
        const used = trx.selectFrom("configuration_source").select("name").where("name", "=", name);
        if ((await used.where(inUseCondition()).executeTakeFirst()) !== undefined) {
          throw new NetkilnError("invalid_input", `Source ${name} is referenced by some configurations`);
        }
        await trx.deleteFrom("configuration_source").where("name", "=", name).execute();
      });
    },
    loginFor: async (url) => {
      const rows = db.selectFrom("configuration_source").select("secret").where("clone_url", "=", url);
      const row = await rows.where("secret", "is not", null).orderBy("name").limit(1).executeTakeFirst();
      return row?.secret == null ? undefined : (JSON.parse(row.secret) as Login);
    },
  };
}

function inUseCondition() {
  return sql<boolean>`(exists (
      select 1 from configuration_layer_source where source = configuration_source.name
    ) or configuration_source.name = (
      select json_extract(value, '$') from configuration_option where name = ${optionOfSource}
    ) is true)`;
}
const optionOfSource: keyof typeof defaultOptions = "additionalInventorySource";

async function rowOf(db: Kysely<Tables>, name: string) {
  const row = await db.selectFrom("configuration_source").selectAll().where("name", "=", name).executeTakeFirst();
  return row === undefined ? undefined : { source: JSON.parse(row.data) as Source, secret: row.secret };
}

async function write(
  db: Kysely<Tables>,
  before: Source,
  { login, secretName, ...content }: Partial<SourceContent>,
  secretBefore: string | null,
): Promise<Source> {
  const { credentials } = before;
  const name = secretName ?? credentials?.secretName ?? (login && `cfs-source-credentials-${clock.uuid()}`);
  const source: Source = {
    ...before,
    ...content,
    ...(name !== undefined && { credentials: { authenticationMethod: "password", secretName: name } }),
  };
  const row = {
    name: source.name,
    clone_url: source.cloneUrl,
    data: JSON.stringify(source),
    secret: login === undefined ? secretBefore : JSON.stringify(login),
  };
  await db
    .insertInto("configuration_source")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
    .execute();
  return source;
}

/** Configurations hold the URL too, as builds read it there. */
async function moveLayers(db: Kysely<Tables>, { name, cloneUrl }: Source): Promise<void> {
  const moved = <R extends PinnedRepository>(one: R): R => (one.source === name ? { ...one, url: cloneUrl } : one);
  const rows = await db
    .selectFrom("configuration_layer_source")
    .innerJoin("configuration", "configuration.name", "configuration_layer_source.configuration")
    .select("configuration.data")
    .where("source", "=", name)
    .execute();
  for (const { data } of rows) {
    const configuration = JSON.parse(data) as Configuration;
    const { additionalInventory } = configuration;
    await writeConfiguration(db, {
      ...configuration,
      layers: configuration.layers.map(moved),
      ...(additionalInventory !== undefined && { additionalInventory: moved(additionalInventory) }),
    });
  }
}

function missing(name: string): NetkilnError {
  return new NetkilnError("not_found", `Source ${name} could not be found`);
}

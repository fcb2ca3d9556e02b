import { timestamp } from "../lib/clock.ts";
import { sql, type Migration } from "../lib/db.ts";
import type { ComponentStatus, SessionStatus, SessionSucceeded } from "./types.ts";

export type Tables = {
  configuration: { name: string; last_updated: string; data: string };
  configuration_source: { name: string; clone_url: string; data: string; secret: string | null };
  configuration_layer_source: { configuration: string; source: string };
  configuration_option: { name: string; value: string };
  configured_component: {
    id: string;
    desired_config: string;
    enabled: number;
    error_count: number;
    retry_policy: number | null;
    status: ComponentStatus;
    settled: number | null;
    tags: string;
    state: string;
    pending_since: string | null;
  };
  configured_component_tag: { name: string; value: string; component: string };
  configuration_session: {
    name: string;
    configuration: string;
    status: SessionStatus;
    succeeded: SessionSucceeded;
    start_time: string;
    tags: string;
    data: string;
  };
};

export const migrations: Record<string, Migration> = {
  "0090-configuration": {
    up: async (db) => {
      await db.schema
        .createTable("configuration")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("last_updated", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
    },
  },
  "0460-configuration-sources": {
    up: async (db) => {
      await db.schema
        .createTable("configuration_source")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("clone_url", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        // User and password for git, apart from what is shown.
        .addColumn("secret", "text")
        .execute();
      await db.schema.createIndex("configuration_source_url").on("configuration_source").column("clone_url").execute();
      await db.schema
        .createTable("configuration_layer_source")
        .addColumn("configuration", "text", (column) =>
          column.notNull().references("configuration.name").onDelete("cascade"),
        )
        .addColumn("source", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("configuration_layer_source_key", ["configuration", "source"])
        .execute();
      await db.schema
        .createIndex("configuration_layer_source_source")
        .on("configuration_layer_source")
        .column("source")
        .execute();
      await db.schema
        .createTable("configuration_option")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("value", "text", (column) => column.notNull())
        .execute();
    },
  },
  "0461-configured-component": {
    up: async (db) => {
      await db.schema
        .createTable("configured_component")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("desired_config", "text", (column) => column.notNull())
        .addColumn("enabled", "integer", (column) => column.notNull())
        .addColumn("error_count", "integer", (column) => column.notNull())
        .addColumn("retry_policy", "integer")
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("settled", "integer")
        .addColumn("tags", "text", (column) => column.notNull())
        // Some kilobytes, and last: what filters read stands in front of it.
        .addColumn("state", "text", (column) => column.notNull())
        .execute();
      for (const column of ["desired_config", "status", "enabled"] as const) {
        await db.schema
          .createIndex(`configured_component_${column}`)
          .on("configured_component")
          .columns([column, "id"])
          .execute();
      }
      await db.schema
        .createIndex("configured_component_status_enabled")
        .on("configured_component")
        .columns(["status", "enabled", "id"])
        .execute();
      await db.schema
        .createTable("configured_component_tag")
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("value", "text", (column) => column.notNull())
        .addColumn("component", "text", (column) =>
          column.notNull().references("configured_component.id").onDelete("cascade"),
        )
        .addPrimaryKeyConstraint("configured_component_tag_key", ["name", "value", "component"])
        .execute();
      await db.schema
        .createIndex("configured_component_tag_component")
        .on("configured_component_tag")
        .column("component")
        .execute();
    },
  },
  "0462-configuration-session": {
    up: async (db) => {
      await db.schema
        .createTable("configuration_session")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("configuration", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("succeeded", "text", (column) => column.notNull())
        .addColumn("start_time", "text", (column) => column.notNull())
        .addColumn("tags", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      for (const column of ["status", "start_time"] as const) {
        await db.schema
          .createIndex(`configuration_session_${column}`)
          .on("configuration_session")
          .columns([column, "name"])
          .execute();
      }
    },
  },
  "0570-component-pending-since": {
    up: async (db) => {
      await db.schema.alterTable("configured_component").addColumn("pending_since", "text").execute();
      await sql`update configured_component set pending_since = ${timestamp()} where status = 'pending' and enabled = 1`.execute(
        db,
      );
      // By their runs sessions are looked for several times a second.
      await sql`create index configuration_session_run on configuration_session (data ->> '$.run')`.execute(db);
    },
  },
};

import { join } from "node:path";
import { migrations as accessMigrations, openTokenStore } from "../access/index.ts";
import { migrations as artifactMigrations, openFileBlobs, openGcRunStore } from "../artifact/index.ts";
import { migrations as bootprepMigrations, openRunStore } from "../bootprep/index.ts";
import { migrations as bootMigrations, openBootEntries } from "../boot/index.ts";
import {
  migrations as buildMigrations,
  openBuildRecords,
  openBuildStore,
  openLayerStore,
  openStepStore,
  readToolVersions,
  type StepResult,
} from "../build/index.ts";
import { migrations as configurationMigrations, openConfigurationStore, openGitStore } from "../configuration/index.ts";
import { migrations as imageMigrations, openChannelStore, openImageStore } from "../image/index.ts";
import { migrations as jobMigrations, openJobStore } from "../job/index.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations as nodeMigrations, openNodeStore } from "../node/index.ts";
import { migrations as orchestrationMigrations, openSessionStore } from "../orchestration/index.ts";
import { migrations as powerMigrations } from "../power/index.ts";
import { migrations as telemetryMigrations, openBootRecords, openEventStore } from "../telemetry/index.ts";
import type { Config } from "./config.ts";
import { version } from "./version.ts";

/** Opens the data folder: the database, brought up to date, and everything that stands in it. */
export async function openHouse(config: Config) {
  const { data } = config;
  const db = openDatabase(join(data, "netkiln.db"));
  await migrate(db, {
    ...accessMigrations,
    ...telemetryMigrations,
    ...jobMigrations,
    ...artifactMigrations,
    ...configurationMigrations,
    ...imageMigrations,
    ...buildMigrations,
    ...bootprepMigrations,
    ...nodeMigrations,
    ...bootMigrations,
    ...powerMigrations,
    ...orchestrationMigrations,
  });
  const blobs = openFileBlobs(join(data, "blobs"));
  const layers = await openLayerStore(data);
  const events = openEventStore(db);
  return {
    data,
    version,
    db,
    blobs,
    layers,
    events,
    tokens: openTokenStore(db),
    nodes: openNodeStore(db),
    entries: openBootEntries(db),
    boots: openBootRecords(db, events),
    sessions: openSessionStore(db),
    jobs: openJobStore(db),
    configurations: openConfigurationStore(db),
    git: openGitStore(join(data, "git")),
    images: openImageStore(db),
    channels: openChannelStore(db),
    gcRuns: openGcRunStore(db),
    buildRecords: openBuildRecords(db, config.squashfs_level),
    builds: openBuildStore(db),
    runs: openRunStore(db),
    steps: openStepStore(db),
    tools: await readToolVersions(),
    settings: {
      ...(config.apt_sources !== undefined && { aptSources: config.apt_sources }),
      registries: { authFile: config.oci.auth_file, insecure: config.oci.insecure_registries },
      packagesMaxAge: config.packages_max_age_hours * 3600,
      squashfsLevel: config.squashfs_level,
    },
    retention: {
      keepLast: config.retention.keep_last,
      keepDays: config.retention.keep_days,
      deletedDays: config.retention.deleted_days,
      channelHistory: config.retention.channel_history,
      graceHours: config.retention.grace_hours,
    },
    isKept: async ({ layer, file, downloads }: StepResult) =>
      (layer === undefined || (await layers.has(layer))) &&
      (file === undefined || (await blobs.has(file.sha256))) &&
      (downloads === undefined || (await blobs.has(downloads))),
  };
}

export type House = Awaited<ReturnType<typeof openHouse>>;

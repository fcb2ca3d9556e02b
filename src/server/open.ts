import { join } from "node:path";
import { migrations as accessMigrations, openTokenStore } from "../access/index.ts";
import { openFileBlobs } from "../artifact/index.ts";
import { migrations as bootprepMigrations, openRunStore } from "../bootprep/index.ts";
import { migrations as bootMigrations, openBootEntries } from "../boot/index.ts";
import {
  migrations as buildMigrations,
  openBuildStore,
  openLayerStore,
  openStepStore,
  readToolVersions,
  type StepResult,
} from "../build/index.ts";
import { migrations as configurationMigrations, openConfigurationStore, openGitStore } from "../configuration/index.ts";
import { migrations as imageMigrations, openImageStore } from "../image/index.ts";
import { migrations as jobMigrations, openJobStore } from "../job/index.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations as nodeMigrations, openNodeStore } from "../node/index.ts";
import { migrations as orchestrationMigrations, openSessionStore } from "../orchestration/index.ts";
import { migrations as powerMigrations } from "../power/index.ts";
import { migrations as telemetryMigrations, openBootRecords, openEventStore } from "../telemetry/index.ts";
import type { Config } from "./config.ts";

/** Opens the data folder: the database, brought up to date, and everything that stands in it. */
export async function openHouse(config: Config) {
  const { data } = config;
  const db = openDatabase(join(data, "netkiln.db"));
  await migrate(db, {
    ...accessMigrations,
    ...telemetryMigrations,
    ...jobMigrations,
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
    builds: openBuildStore(db),
    runs: openRunStore(db),
    steps: openStepStore(db),
    tools: await readToolVersions(),
    settings: {
      ...(config.apt_sources !== undefined && { aptSources: config.apt_sources }),
      packagesMaxAge: config.packages_max_age_hours * 3600,
      squashfsLevel: config.squashfs_level,
    },
    isKept: async ({ key, file }: StepResult) => (file === undefined ? layers.has(key) : blobs.has(file.sha256)),
  };
}

export type House = Awaited<ReturnType<typeof openHouse>>;

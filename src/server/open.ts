import { join } from "node:path";
import { migrations as accessMigrations, openAccounts, openTenants, openTokenStore } from "../access/index.ts";
import { migrations as artifactMigrations, openFileBlobs, openGcRunStore } from "../artifact/index.ts";
import { migrations as bootprepMigrations, openRunStore } from "../bootprep/index.ts";
import {
  migrations as bootMigrations,
  openAccessLog,
  openBootEntries,
  openBootFiles,
  openBootScripts,
  openCloudInitStore,
  openNodeIdentities,
} from "../boot/index.ts";
import {
  imageJobMigrations,
  migrations as buildMigrations,
  openBuildRecords,
  openBuildStore,
  openImageJobs,
  openLayerStore,
  openRemoteNodes,
  openSshKeys,
  openStepStore,
  readToolVersions,
  remoteNodeMigrations,
  sshKeyMigrations,
  type StepResult,
} from "../build/index.ts";
import { migrations as catalogMigrations, openCatalog } from "../catalog/index.ts";
import {
  migrations as configurationMigrations,
  openConfigurationOptions,
  openConfigurationSessions,
  openConfigurationStore,
  openConfiguredComponents,
  openGitStore,
  openSourceStore,
  servedFrom,
} from "../configuration/index.ts";
import {
  migrations as imageMigrations,
  openChannelStore,
  openImageRecords,
  openImageStore,
  openRecipeRecords,
} from "../image/index.ts";
import { migrations as jobMigrations, openJobStore } from "../job/index.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, refuseOldXnames } from "../node/index.ts";
import {
  migrations as orchestrationMigrations,
  openBootComponents,
  openBootOptions,
  openSessionStore,
} from "../orchestration/index.ts";
import { migrations as powerMigrations, openPowerCapStore, openTransitionStore } from "../power/index.ts";
import {
  migrations as telemetryMigrations,
  openBootRecords,
  openBootTokens,
  openEventStore,
} from "../telemetry/index.ts";
import type { Config } from "./config.ts";
import { version } from "./version.ts";

/** Opens the data folder: the database, brought up to date, and everything that stands in it. */
export async function openHouse(config: Config) {
  const { data } = config;
  const db = openDatabase(join(data, "netkiln.db"));
  await refuseOldXnames(db);
  await migrate(db, {
    ...accessMigrations,
    ...telemetryMigrations,
    ...jobMigrations,
    ...artifactMigrations,
    ...configurationMigrations,
    ...imageMigrations,
    ...catalogMigrations,
    ...buildMigrations,
    ...imageJobMigrations,
    ...sshKeyMigrations,
    ...remoteNodeMigrations,
    ...bootprepMigrations,
    ...nodeMigrations,
    ...bootMigrations,
    ...powerMigrations,
    ...orchestrationMigrations,
  });
  const blobs = openFileBlobs(join(data, "blobs"));
  const layers = await openLayerStore(data);
  const events = openEventStore(db);
  const sources = openSourceStore(db);
  const nodes = openNodeStore(db);
  const inventory = openInventory(db);
  const boots = openBootRecords(db, events);
  const images = openImageStore(db);
  const scripts = openBootScripts(
    { db, findImage: (id) => images.findImage(id) },
    { blockedRoles: config.boot.blocked_roles, retryDelay: config.boot.retry_delay },
  );
  return {
    data,
    version,
    db,
    blobs,
    layers,
    events,
    tokens: openTokenStore(db),
    nodes,
    accounts: openAccounts(db),
    tenants: openTenants(db),
    transitions: openTransitionStore(db),
    powerCaps: openPowerCapStore(db, nodes),
    inventory,
    entries: openBootEntries(db),
    cloudInit: openCloudInitStore(db),
    identities: openNodeIdentities({
      ...{ nodes, interfaces: inventory.interfaces, bootTokens: openBootTokens(db, boots) },
      sharedAddresses: config.shared_addresses,
    }),
    bootFiles: openBootFiles(db),
    scripts,
    accesses: openAccessLog(db),
    boots,
    sessions: openSessionStore(db),
    bootComponents: openBootComponents(db),
    bootOptions: openBootOptions(db),
    jobs: openJobStore(db),
    configurations: openConfigurationStore(db),
    sources,
    configurationOptions: openConfigurationOptions(db),
    configuredComponents: openConfiguredComponents(db),
    configurationSessions: openConfigurationSessions(db),
    git: openGitStore(join(data, "git"), {
      loginFor: (url) => sources.loginFor(url),
      servedFrom: (url) => servedFrom(url, config.sat?.gateway, config.sat?.repositories ?? {}),
    }),
    images,
    imageRecords: openImageRecords(db),
    recipeRecords: openRecipeRecords(db),
    channels: openChannelStore(db),
    catalog: openCatalog(db),
    gcRuns: openGcRunStore(db),
    buildRecords: openBuildRecords(db, config.squashfs_level),
    builds: openBuildStore(db),
    imageJobs: openImageJobs(db),
    sshKeys: openSshKeys(db),
    remoteNodes: openRemoteNodes(db),
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
      keepBoots: config.retention.keep_boots,
      bootDays: config.retention.boot_days,
      eventDays: config.retention.event_days,
    },
    isKept: async ({ layer, file, downloads }: StepResult) =>
      (layer === undefined || (await layers.has(layer))) &&
      (file === undefined || (await blobs.has(file.sha256))) &&
      (downloads === undefined || (await blobs.has(downloads))),
  };
}

export type House = Awaited<ReturnType<typeof openHouse>>;

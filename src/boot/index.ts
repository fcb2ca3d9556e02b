import { cloudInitMigrations } from "./cloud-init/store.ts";
import { migrations as entryMigrations } from "./tables.ts";

export { accessEndpoints, openAccessLog, type AccessLog } from "./accesses.ts";
export { drill, entryMetaData, entryUserData } from "./cloud-init/entries.ts";
export { emptyCloudConfig, groupConfigOf, metaDataOf, printCloudConfig, vendorDataOf } from "./cloud-init/node-data.ts";
export { hearPhoneHome, type PhoneHomeParts } from "./cloud-init/phone-home.ts";
export { openCloudInitStore, type CloudInitStore } from "./cloud-init/store.ts";
export type { ClusterDefaults, GroupData, InstanceInfo, PhoneHome } from "./cloud-init/types.ts";
export { openBootFiles, type BootFileStore } from "./files.ts";
export { openNodeIdentities, type NodeIdentities } from "./identity.ts";
export { artifactOfFile, imageOfLink } from "./links.ts";
export { prepareScripts } from "./prepare.ts";
export { chainPath, chainScript, doorUrl, scriptPaths, type ScriptPath } from "./script.ts";
export { openBootScripts, type BootScripts, type FoundScript, type ScriptAsk } from "./scripts.ts";
export { openBootEntries, type BootEntryStore } from "./store.ts";
export type { BootEntry, BootFile, BootParameters, EntryKind, EntryNames } from "./types.ts";

export const migrations = { ...entryMigrations, ...cloudInitMigrations };

export { openConfiguredComponents, type ComponentFilter, type ConfiguredComponentStore } from "./components.ts";
export { batcherStep, batchOf } from "./batcher.ts";
export { openGitStore, type GitFile, type GitStore } from "./git.ts";
export { openServedRepositories, servedFrom, type PackRequest, type ServedRepositories } from "./served.ts";
export { advanceImageSession, limitLayers, resultName, type ImageSessionPorts } from "./image-session.ts";
export { inventoryText, roleGroups, type InventoryHost } from "./inventory.ts";
export {
  endLiveSession,
  runLiveSession,
  type LiveRun,
  type LiveSessionPorts,
  type PlayResult,
} from "./live-session.ts";
export { migrations } from "./migrations.ts";
export { openConfigurationOptions, type ConfigurationOptions, type ConfigurationOptionStore } from "./options.ts";
export { pinConfiguration, renewPins, type WantedConfiguration, type WantedRepository } from "./pin.ts";
export { watchRecap } from "./recap.ts";
export {
  openConfigurationSessions,
  type ConfigurationSessionStore,
  type SessionFilter,
  type SessionProgress,
} from "./sessions.ts";
export { nodeKey, type NodeKey } from "./ssh-key.ts";
export { openSourceStore, type SourceContent, type SourceStore } from "./sources.ts";
export type { DesiredLayer } from "./standing.ts";
export { openConfigurationStore, type ConfigurationStore } from "./store.ts";
export {
  componentStatuses,
  layerStatuses,
  sessionResults,
  sessionStatuses,
  type AppliedLayer,
  type Artifact,
  type ComponentChange,
  type Configuration,
  type ConfigurationContent,
  type ConfigurationSession,
  type ConfigurationSessionRequest,
  type ConfiguredComponent,
  type Layer,
  type PinnedRepository,
  type Source,
} from "./types.ts";

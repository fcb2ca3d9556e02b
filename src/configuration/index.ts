export { openGitStore, type GitFile, type GitStore } from "./git.ts";
export {
  migrations,
  openConfigurationStore,
  type Configuration,
  type ConfigurationContent,
  type ConfigurationStore,
  type Layer,
  type PinnedRepository,
} from "./store.ts";

export { openChannelStore, type Channel, type ChannelMove, type ChannelStore, type Mover } from "./channels.ts";
export { imageDiff, type FileChange, type ImageDiff, type UnitChange } from "./diff.ts";
export {
  parseInventory,
  type Inventory,
  type InventoryFile,
  type InventoryPackage,
  type InventoryUnit,
} from "./inventory.ts";
export { openImageRecords, type ImageRecord, type ImageRecordStore } from "./image-records.ts";
export type { Link } from "./links.ts";
export { openRecipeRecords, type RecipeRecord, type RecipeRecordStore } from "./recipe-records.ts";
export { requireVouched } from "./vouched.ts";
export { manifestText, s3Path } from "./manifest.ts";
export { migrations } from "./migrations.ts";
export { findDescription, renderDescription } from "./kiwi.ts";
export { maxRecipeBytes, readRecipeArchive } from "./recipe-archive.ts";
export {
  type DebianSpec,
  type ElSpec,
  type FromSpec,
  type KiwiSpec,
  type RecipeLayer,
  type RecipeSpec,
  type SuseSpec,
} from "./schema.ts";
export { openImageStore, type Deleted, type ImageStore, type Recipe, type RecipeEntry } from "./store.ts";
export {
  architectures,
  artifactNames,
  linuxDistributions,
  recipeTypes,
  type Arch,
  type ArtifactName,
  type Attestation,
  type Image,
  type ImageArtifacts,
  type ImageCommit,
  type ManualLayer,
  type PackageSource,
} from "./types.ts";
export { decideFates, type Fate, type RetentionRules } from "./retention.ts";
export {
  openSigningKey,
  parsePublicKey,
  publicKeyText,
  readPublicKeys,
  rotateSigningKey,
  signingKeyId,
  verifySignature,
  type SigningKey,
} from "./signature.ts";

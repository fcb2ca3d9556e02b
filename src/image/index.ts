export { openChannelStore, type Channel, type ChannelMove, type ChannelStore, type Mover } from "./channels.ts";
export {
  imageDiff,
  type DescribedImage,
  type FileAspect,
  type FileChange,
  type ImageDiff,
  type PackageChange,
  type PackageName,
  type SizeChange,
  type UnitChange,
  type ValueChange,
} from "./diff.ts";
export {
  isUnitEnabled,
  packageKinds,
  parseInventory,
  privilegesOf,
  type Inventory,
  type InventoryFile,
  type InventoryPackage,
  type InventoryUnit,
} from "./inventory.ts";
export { openImageRecords, type ImageChange, type ImageRecord, type ImageRecordStore } from "./image-records.ts";
export type { Link } from "./links.ts";
export { openRecipeRecords, type RecipeChange, type RecipeRecord, type RecipeRecordStore } from "./recipe-records.ts";
export { requireVouched } from "./vouched.ts";
export { manifestText, s3Path } from "./manifest.ts";
export { migrations } from "./migrations.ts";
export { findDescription, renderDescription, type DescriptionFile } from "./kiwi.ts";
export { maxRecipeBytes, readRecipeArchive, type KiwiImport, type RecipeArchive } from "./recipe-archive.ts";
export {
  rootFormats,
  type DebianSpec,
  type ElSpec,
  type FromSpec,
  type KiwiSpec,
  type RecipeLayer,
  type RecipeSpec,
  type RootFormat,
  type SuseSpec,
} from "./schema.ts";
export { openImageStore, type Deleted, type ImageStore, type Page, type Recipe, type RecipeEntry } from "./store.ts";
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
  type LinuxDistribution,
  type ManualLayer,
  type PackageSource,
  type RecipeType,
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
  type PublicKey,
  type Signature,
  type Signed,
  type SigningKey,
} from "./signature.ts";

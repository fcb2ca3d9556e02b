export type { RegistryOptions } from "./connection.ts";
export { parseDocument, rawManifest, type OciSource, type RawManifest } from "./content.ts";
export { pushAll, writeLayout, writeLayoutArchive, type Exported } from "./export.ts";
export {
  imageLayers,
  ociArch,
  parseConfig,
  parseManifest,
  pullImage,
  type ImageLayer,
  type PulledImage,
} from "./pull.ts";
export { isDigest, isRepositoryName, isTag, parseReference, type Reference, type Repository } from "./reference.ts";
export { openRegistry, registrySource, type OpenBlob, type Registry } from "./registry.ts";
export { mediaTypes, type Descriptor } from "./schema.ts";
export { openSource } from "./source.ts";

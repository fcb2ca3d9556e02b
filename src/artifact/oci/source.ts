import { NetkilnError } from "../../lib/errors.ts";
import type { RegistryOptions } from "./connection.ts";
import type { OciSource } from "./content.ts";
import { dockerArchiveSource, layoutArchiveSource, layoutSource } from "./layout.ts";
import { parseReference } from "./reference.ts";
import { openRegistry, registrySource } from "./registry.ts";

export interface SourceWorld {
  readonly registry: RegistryOptions;
  /** Where a file or folder that the text names is on this machine. */
  readonly path: (named: string) => string;
  /** An empty folder for what archives hold; has to stay while the source is used. */
  readonly work: string;
}

const local = {
  oci: (path: string, reference: string | undefined) => layoutSource(path, reference),
  "oci-archive": layoutArchiveSource,
  "docker-archive": dockerArchiveSource,
} as const;

/**
 * Opens what containers-transports(5) names: `docker://HOST/NAME:TAG`, `oci:FOLDER[:NAME]`, `oci-archive:FILE[:NAME]`,
 * `docker-archive:FILE[:NAME|:@INDEX]`. Paths end at the first ":".
 */
export async function openSource(text: string, world: SourceWorld): Promise<OciSource> {
  if (text.startsWith("docker://")) {
    const { reference, ...repository } = parseReference(text);
    return registrySource(openRegistry(repository, world.registry), reference);
  }
  const [, transport = "", path, reference] = /^([a-z-]+):([^:]+)(?::(.+))?$/s.exec(text) ?? [];
  if (path === undefined || !Object.hasOwn(local, transport)) {
    throw new NetkilnError("invalid_input", `"${text}" names no OCI image`, {
      hint: "write docker://HOST/NAME:TAG, oci:FOLDER:NAME, oci-archive:FILE or docker-archive:FILE",
    });
  }
  return local[transport as keyof typeof local](world.path(path), reference, world.work);
}

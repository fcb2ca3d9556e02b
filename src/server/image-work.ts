import { join } from "node:path";
import type { ImageWorkParts } from "../api/native/image-work.ts";
import { planBuild, requestFor, startBuild, startVerify } from "../build/index.ts";
import { requireVouched, type Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { digestFile } from "../lib/files.ts";
import type { House } from "./open.ts";
import { exportArchive, pushImage } from "./oci.ts";

/** What the administrators' door does to make images and with their files. */
export function imageWork(house: House): ImageWorkParts["work"] {
  return {
    start: async (wanted) => startBuild(await requestFor(wanted, house), house),
    plan: async (wanted) => planBuild(await requestFor(wanted, house), house),
    importImage: async ({ name, archive, kernel, initrd, arch, kernelParameters }) => {
      const digestsOf = async (sha256: string) => {
        if (await house.blobs.has(sha256)) return digestFile(house.blobs.path(sha256));
        throw new NetkilnError("not_found", `no file with the sha256 ${sha256} was uploaded`);
      };
      await digestsOf(archive);
      // The recipe of an import is written by nobody, but says what one by hand would.
      const { recipe } = await house.images.putRecipe({
        spec: importedSpec(name, arch, archive, kernelParameters),
        digest: archive,
        files: [],
      });
      const given = {
        ...(kernel !== undefined && { kernel: await digestsOf(kernel) }),
        ...(initrd !== undefined && { initrd: await digestsOf(initrd) }),
      };
      return startBuild({ name, base: { kind: "recipe", recipe }, groups: [], given }, house);
    },
    verify: (image) => startVerify(image, house),
    exportArchive: (image) => exportArchive(image, house),
    push: (image, reference) => pushImage(image, reference, house),
  };
}

function importedSpec(name: string, arch: "x86_64" | "aarch64", archive: string, parameters: string) {
  return {
    name: `import-${name}`,
    description: `the root tree that was imported as the image ${name}`,
    arch,
    layers: [],
    kernel: { parameters },
    outputs: ["squashfs" as const],
    checks: [],
    epoch: importEpoch,
    from: { archive: `blob:${archive}` },
  };
}

/** 2025-01-01, as recipes have it that name none. */
const importEpoch = 1_735_689_600;

/** Finds an image for use: one that nobody vouches for any more is refused. */
export async function findVouched(id: string, house: House): Promise<Image | undefined> {
  const image = await house.images.findImage(id);
  if (image !== undefined) await requireVouched(image, join(house.data, "keys"), (digest) => house.blobs.path(digest));
  return image;
}

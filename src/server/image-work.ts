import { join } from "node:path";
import type { ImageWorkParts } from "../api/native/image-work.ts";
import { checkGivenBoot, planBuild, requestFor, startBuild, startVerify } from "../build/index.ts";
import { requireVouched, type Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { canonicalJson, digestFile, sha256, type Digests } from "../lib/files.ts";
import type { House } from "./open.ts";
import { exportArchive, pushImage } from "./oci.ts";

/** What the administrators' door does to make images and with their files. */
export function imageWork(house: House): ImageWorkParts["work"] {
  return {
    start: async (wanted) => startBuild(await requestFor(wanted, house), house),
    plan: async (wanted) => planBuild(await requestFor(wanted, house), house),
    importImage: async ({ name, archive, kernel, initrd, arch, kernelParameters }) => {
      const requireUploaded = async (digest: string) => {
        if (await house.blobs.renew(digest)) return;
        throw new NetkilnError("not_found", `no file with the sha256 ${digest} was uploaded`);
      };
      const digestsOf = async (digest: string) => {
        await requireUploaded(digest);
        return digestFile(house.blobs.path(digest));
      };
      await requireUploaded(archive);
      const given = {
        ...(kernel !== undefined && { kernel: await digestsOf(kernel) }),
        ...(initrd !== undefined && { initrd: await digestsOf(initrd) }),
      };
      const path = (digests: Digests) => house.blobs.path(digests.sha256);
      const warnings =
        given.kernel === undefined || given.initrd === undefined
          ? []
          : await checkGivenBoot({ kernel: path(given.kernel), initrd: path(given.initrd), arch });
      // The recipe of an import is written by nobody, but says what one by hand would.
      const spec = importedSpec(name, arch, archive, kernelParameters);
      const digest = sha256(canonicalJson(spec));
      const { recipe } = await house.images.putRecipe({ spec, digest, files: [] });
      const started = await startBuild({ name, base: { kind: "recipe", recipe }, groups: [], given }, house);
      return { started, warnings };
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

import type { BootFileStore } from "./files.ts";
import { imageOfLink, isS3, whyNothing, type FindImage } from "./links.ts";
import { linksOf, openScriptForms } from "./script.ts";
import type { BootEntry } from "./types.ts";

/** What is booted with the same kernel, initrd and parameters: most nodes have it in common with many others. */
export interface BootLoad {
  /** What goes with kernel and initrd, whoever boots them. */
  readonly fileParams: readonly string[];
  /** Why it cannot be booted, in words; undefined when it can. */
  readonly nothing: string | undefined;
  /** Of the image that is booted, when it is one of ours. */
  readonly target: { readonly imageId: string | undefined; readonly expectedBuildId: string | undefined };
  readonly form: ReturnType<typeof openScriptForms>;
}

/** Each is worked out once; they are good as long as the revision. */
export interface BootLoads {
  of(entry: BootEntry): BootLoad | Promise<BootLoad>;
  size(): number;
}

export function openBootLoads({
  files,
  findImage,
  retryDelay,
}: {
  readonly files: Pick<BootFileStore, "paramsOf">;
  readonly findImage: FindImage;
  readonly retryDelay: number;
}): BootLoads {
  const loads = new Map<string, BootLoad | Promise<BootLoad>>();
  const images = new Map<string, ReturnType<FindImage>>();
  // Every node of a boot set names the same few images.
  const findImageOnce: FindImage = (id) => {
    const known = images.get(id);
    if (known !== undefined) return known;
    const looked = findImage(id);
    images.set(id, looked);
    looked.catch(() => images.delete(id));
    return looked;
  };
  const firstNothing = async (links: readonly string[]) => {
    for (const link of links.filter(isS3)) {
      const nothing = await whyNothing(link, findImageOnce);
      if (nothing !== undefined) return nothing;
    }
    return undefined;
  };
  const workOut = async (entry: BootEntry): Promise<BootLoad> => {
    const fileParams = files.paramsOf(entry.kernel, entry.initrd);
    const nothing = await firstNothing(linksOf({ entry, fileParams }));
    const imageId = imageOfLink(entry.kernel);
    const image = imageId === undefined ? undefined : await findImageOnce(imageId);
    const target = { imageId, expectedBuildId: image?.buildId };
    return { fileParams, nothing, target, form: openScriptForms({ entry, fileParams, retryDelay }) };
  };
  return {
    of: (entry) => {
      // None of them holds a line's end (line.ts).
      const key = `${entry.kernel}\n${entry.initrd}\n${entry.params}`;
      const known = loads.get(key);
      if (known !== undefined) return known;
      const load = workOut(entry);
      loads.set(key, load);
      load.then(
        (ready) => loads.set(key, ready),
        () => loads.delete(key),
      );
      return load;
    },
    size: () => loads.size,
  };
}

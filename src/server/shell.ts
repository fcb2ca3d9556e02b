import { checkLayer, openShell, startBuild, type Build, type ShellOptions, type ShellResult } from "../build/index.ts";
import type { Image, ManualLayer } from "../image/index.ts";
import { timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Config } from "./config.ts";
import { findVouched } from "./image-work.ts";
import { openHouse, type House } from "./open.ts";

/** What is made by hand, and of which image. */
export interface ManualWork {
  /** The image's id. */
  readonly image: string;
  /** Of the image that is made. */
  readonly name: string;
  readonly by: string;
  readonly note: string | undefined;
  /** A layer that was kept before, in the place of a shell. */
  readonly layer: string | undefined;
}

export interface ManualResult {
  /** Not there when no shell was opened. */
  readonly shell?: ShellResult;
  /** The diff ID of the layer that is kept. */
  readonly layer?: string;
  /** The build that makes an image with it. */
  readonly build?: Build;
  /** The image, when it is there already. */
  readonly image?: Image;
}

/**
 * Opens a shell in a new layer of an image and, if the layer is kept, queues the build of an image with it. Needs root
 * on the server's machine, as a worker does: what it does is the operator's own, so no worker does it.
 */
export async function runShell(
  config: Config,
  work: ManualWork,
  options: ShellOptions,
  keep: (result: ShellResult) => Promise<boolean>,
): Promise<ManualResult> {
  process.umask(0o022);
  const house = await openHouse(config);
  try {
    // What a shell left that was killed.
    await house.layers.sweep();
    const image = await findVouched(work.image, house);
    if (image === undefined) throw new NetkilnError("not_found", `the image ${work.image} is gone`);
    if (work.layer !== undefined) {
      await checkLayer(work.layer, image, house);
      return { layer: work.layer, ...(await startWith(work.layer, image, work, house)) };
    }
    const { layer, ...shell } = await openShell(image, options, keep, house);
    if (layer === undefined) return { shell };
    const started = await startWith(layer, image, work, house).catch((error: unknown) => {
      throw withoutBuild(error, layer, work);
    });
    return { shell, layer, ...started };
  } finally {
    await house.db.destroy();
  }
}

async function startWith(layer: string, image: Image, { name, by, note }: ManualWork, house: House) {
  const manual: ManualLayer = { layer, by, at: timestamp(), ...(note !== undefined && { note }) };
  const started = await startBuild({ name, base: { kind: "image", image }, groups: [], manual }, house);
  return started.kind === "image" ? { image: started.image } : { build: started.build };
}

/** The layer stands, and nothing but a build keeps it from being collected as garbage when its grace period is over. */
function withoutBuild(error: unknown, layer: string, { image, name }: ManualWork): unknown {
  if (!(error instanceof NetkilnError)) return error;
  return new NetkilnError(error.code, `the layer ${layer} is kept, but no image is built of it: ${error.message}`, {
    ...error,
    hint: [
      error.hint,
      `netkiln images shell ${image} --name ${name} --layer ${layer} goes on from here, until a garbage collection takes the layer`,
    ]
      .filter((part) => part !== undefined)
      .join("; then "),
  });
}

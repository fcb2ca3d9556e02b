import { createReadStream, existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { unpackTar } from "modern-tar/fs";
import { NetkilnError } from "../lib/errors.ts";
import type { OpenSession } from "./command.ts";

interface Options {
  readonly oci?: string;
  readonly archive?: string;
  readonly push?: string;
}

/** Adds `images export`: an image as an OCI image, for podman, buildah, skopeo and registries. */
export function addExport(images: Command, open: OpenSession): void {
  const command = images
    .command("export <image>")
    .description("write an image as an OCI image, or push it to a registry")
    .option("--oci <folder>", "as an OCI layout in a new folder")
    .option("--archive <file>", "as an OCI archive (tar)")
    .option("--push <reference>", "to a registry: docker://HOST/NAME:TAG");
  command.addHelpText("after", "\nExample:\n  netkiln images export compute-1.0.0 --archive compute.tar");
  command.action(async (name: string, options: Options) => {
    const { client, output } = open(command);
    const [[how, target] = [], ...more] = Object.entries(options).filter(([key]) =>
      ["oci", "archive", "push"].includes(key),
    );
    if (how === undefined || more.length > 0) {
      throw new NetkilnError(
        "invalid_input",
        "say where to: --oci FOLDER, --archive FILE or --push docker://HOST/NAME:TAG",
      );
    }
    const path = `/images/${encodeURIComponent(name)}`;
    if (how === "push") await client.send("POST", `${path}/push`, { reference: target });
    else if (how === "archive") await client.download(`${path}/oci-archive`, target);
    else await writeLayout(target, (file) => client.download(`${path}/oci-archive`, file));
    if (!output.json) output.print(`${name} exported to ${target}`);
  });
}

/** An OCI archive is a tar of a layout; the folder is there with all of it, or not at all. */
async function writeLayout(folder: string, fetch: (file: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) {
    throw new NetkilnError("conflict", `${folder} exists already`, { hint: "name a new folder" });
  }
  const temporary = `${folder}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  try {
    const archive = join(temporary, "image.tar");
    await fetch(archive);
    await pipeline(createReadStream(archive), unpackTar(join(temporary, "layout")));
    await rename(join(temporary, "layout"), folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

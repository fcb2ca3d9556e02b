import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { ImageImportRequest } from "../api/native/image-import-schema.ts";
import type { Build } from "../build/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { digestFile } from "../lib/files.ts";
import { printStarted } from "./build-requests.ts";
import type { OpenSession, Session } from "./command.ts";
import { formatBytes, printJson } from "./output.ts";
import { followBuild } from "./run-progress.ts";

interface Options {
  readonly name: string;
  readonly rootfs: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly kernelParameters?: string;
  readonly arch?: ImageImportRequest["arch"];
  readonly follow?: boolean;
}

/** What the server answers: the build that makes the image, or the image when all of it was there already. */
interface Answer {
  readonly build?: Build;
  readonly image?: { readonly id: string };
  readonly warnings: readonly string[];
}

/** Adds `images import`: an image of what another site has built. */
export function addImageImport(images: Command, open: OpenSession): void {
  const command = images
    .command("import")
    .description("make an image from a root tree that was built elsewhere")
    .requiredOption("--name <name>", "name of the image")
    .requiredOption("--rootfs <file>", "the root tree: a squashfs, or a tar or cpio archive, packed or not")
    .option("--kernel <file>", "publish this kernel instead of the one in the tree; with --initrd")
    .option("--initrd <file>", "publish this initrd instead of making one; with --kernel")
    .option("--kernel-parameters <parameters>", "kernel parameters that come with the image")
    .option("--arch <arch>", "x86_64 or aarch64")
    .option("-f, --follow", "go on until the image is there");
  command.addHelpText(
    "after",
    `
It also makes a recipe import-NAME of the tree: other recipes can be made from it, with layers, drivers and checks.

Example, on the machine where the tree is made:
  mksquashfs /srv/rocky9 rocky9.squashfs -comp zstd -e dev proc run sys
and here:
  netkiln images import -f --name rocky9-base --rootfs rocky9.squashfs --kernel-parameters console=ttyS0,115200`,
  );
  command.action(async (options: Options) => {
    const session = open(command);
    requireBothOrNeither(options);
    // A path that is mistyped is told before gigabytes are sent.
    for (const file of [options.rootfs, options.kernel, options.initrd])
      if (file !== undefined) await requireFile(file);
    const { name, kernelParameters, arch } = options;
    const request: ImageImportRequest = {
      name,
      archive: await uploadOnce(options.rootfs, session),
      ...(options.kernel !== undefined && { kernel: await uploadOnce(options.kernel, session) }),
      ...(options.initrd !== undefined && { initrd: await uploadOnce(options.initrd, session) }),
      ...(kernelParameters !== undefined && { kernelParameters }),
      ...(arch !== undefined && { arch }),
    };
    const { client, output } = session;
    const answer = await client.send<Answer>("POST", "/images/import", request);
    for (const warning of answer.warnings) output.warn(`warning: ${warning}`);
    if (answer.build !== undefined && options.follow === true) {
      const { imageId } = await followBuild(answer.build, session);
      return output.json ? undefined : output.print(`image ${name}: done (${imageId})`);
    }
    if (output.json) return printJson(output, answer);
    if (answer.build !== undefined) return printStarted(answer.build, output);
    output.print(`image ${name}: unchanged (${answer.image?.id})`);
  });
}

/** One of them would be published with a counterpart from the tree, which may be of another kernel. */
function requireBothOrNeither({ kernel, initrd }: Options): void {
  if (initrd !== undefined && kernel === undefined) {
    throw new NetkilnError("invalid_input", "an initrd belongs to one kernel, and none is given", {
      hint: "give the kernel that it was made for with --kernel",
    });
  }
  if (kernel !== undefined && initrd === undefined) {
    throw new NetkilnError("invalid_input", "a kernel belongs to one initrd, and none is given", {
      hint: "give the initrd that was made for it with --initrd; or, to have one made, put the kernel into the tree (/boot/vmlinuz-VERSION) and leave --kernel out",
    });
  }
}

async function requireFile(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new NetkilnError("invalid_input", `${file} does not exist`);
  if (!found.isFile()) throw new NetkilnError("invalid_input", `${file} is not a file`);
  if (found.size === 0) throw new NetkilnError("invalid_input", `${file} is empty`);
}

/** Returns the sha256 of a file, once the server has it. */
async function uploadOnce(file: string, { client, output }: Session): Promise<string> {
  const name = basename(file);
  output.status(`${name}: reading`);
  const { sha256, size } = await digestFile(file);
  const known = await client.get<{ size: number }>(`/blobs/${sha256}`).catch((error: unknown) => {
    if (error instanceof NetkilnError && error.code === "not_found") return undefined;
    throw error;
  });
  if (known === undefined) {
    await client.uploadFile("/blobs", file, {
      sha256,
      size,
      onProgress: (sent) =>
        output.status(`${name}: ${formatBytes(sent)} of ${formatBytes(size)} (${Math.floor((sent * 100) / size)} %)`),
    });
  }
  if (!output.json) {
    output.print(
      `${name}: ${formatBytes(size)} ${known === undefined ? "uploaded" : "there already"} (${sha256.slice(0, 12)})`,
    );
  }
  return sha256;
}

import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { ImageImportRequest } from "../api/native/image-import-schema.ts";
import { NetkilnError } from "../lib/errors.ts";
import { digestFile } from "../lib/files.ts";
import type { OpenSession, Session } from "./command.ts";
import { formatBytes, printJson } from "./output.ts";

interface Options {
  readonly name: string;
  readonly rootfs: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly kernelParameters?: string;
  readonly arch?: ImageImportRequest["arch"];
}

/** What the server answers: the build that makes the image, or the image when all of it was there already. */
interface Answer {
  readonly build?: { readonly id: string };
  readonly image?: { readonly id: string };
}

/** Adds `images import`: an image of what another site has built. */
export function addImageImport(images: Command, open: OpenSession): void {
  const command = images
    .command("import")
    .description("make an image from a root tree that was built elsewhere")
    .requiredOption("--name <name>", "name of the image")
    .requiredOption("--rootfs <file>", "the root tree: a squashfs, or a tar or cpio archive, packed or not")
    .option("--kernel <file>", "publish this kernel instead of the one in the tree")
    .option("--initrd <file>", "publish this initrd instead of making one; it needs --kernel")
    .option("--kernel-parameters <parameters>", "kernel parameters that come with the image")
    .option("--arch <arch>", "x86_64 or aarch64");
  command.addHelpText(
    "after",
    `
Example, on the machine where the tree is made:
  dnf --installroot /srv/rocky9 --releasever 9 install @core kernel dracut dracut-network dracut-live
  mksquashfs /srv/rocky9 rocky9.squashfs -comp zstd -e dev proc sys run
and here:
  netkiln images import --name rocky9 --rootfs rocky9.squashfs`,
  );
  command.action(async (options: Options) => {
    const session = open(command);
    if (options.initrd !== undefined && options.kernel === undefined) {
      throw new NetkilnError("invalid_input", "an initrd belongs to one kernel, and none is given", {
        hint: "give the kernel that it was made for with --kernel",
      });
    }
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
    if (output.json) return printJson(output, answer);
    if (answer.image !== undefined) return output.print(`image ${name}: unchanged (${answer.image.id})`);
    const id = answer.build?.id.slice(0, 8);
    output.print(`image ${name}: build ${id}\nnetkiln builds logs -f ${id} follows it`);
  });
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

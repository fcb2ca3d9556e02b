import type { Command } from "commander";
import type { Configuration } from "../configuration/index.ts";
import type { Attestation, Channel, Image, ManualLayer } from "../image/index.ts";
import { clock } from "../lib/clock.ts";
import { addVerify } from "./build-requests.ts";
import { addExport } from "./image-export.ts";
import { addImageImport } from "./image-import.ts";
import { addImagesDiff } from "./image-diff.ts";
import { moveRequest } from "./channels.ts";
import { addNoun, ago, type OpenSession } from "./command.ts";
import { formatBytes, printFields, printJson, printTable } from "./output.ts";
import { addShell } from "./shell.ts";
import { addUndelete } from "./undelete.ts";

type ShownImage = Image & { readonly deleted?: string; readonly attestations?: readonly Attestation[] };

export function addImages(program: Command, open: OpenSession, environment: NodeJS.ProcessEnv): void {
  const images = addNoun<ShownImage>(program, open, {
    name: "images",
    summary: "what nodes boot",
    columns: [
      ["NAME", ({ name }) => name],
      ["ID", ({ id }) => id],
      ["ROOTFS", ({ artifacts }) => (artifacts.rootfs === undefined ? "-" : formatBytes(artifacts.rootfs.size))],
      ["GATE", ({ verdict }) => verdict],
      ["MADE", ({ created, deleted }) => `${ago(created, clock.now())}${deletedAgo(deleted)}`],
    ],
    describe: (image, { output }) => {
      const { artifacts, recipe, base } = image;
      printFields(output, [
        ["name", image.name],
        ["id", image.id],
        ["build id", image.buildId],
        ["made", image.created],
        ["deleted", image.deleted],
        ["arch", image.arch],
        ["gate", image.verdict],
        ["rebuilt", image.attestations?.map(({ result, created }) => `${result} (${created})`).join(", ")],
        ["recipe", recipe && `${recipe.name} (${recipe.digest.slice(0, 12)})`],
        ["made from", base && `${base.name} (${base.buildId.slice(0, 12)})`],
        ["layers", image.commits.map(({ playbook, commit }) => `${playbook}@${commit.slice(0, 12)}`).join("  ")],
        ["manual", (image.manual ?? []).map(manualText).join("  ")],
        ["parameters", image.kernelParameters],
        ["date epoch", String(image.epoch)],
        ["build", image.build],
      ]);
      output.print("");
      const files = Object.entries(artifacts).map(([name, { size, sha256 }]) => [
        name,
        formatBytes(size),
        `sha256:${sha256}`,
      ]);
      printTable(output, ["FILE", "SIZE", "DIGEST"], files);
      output.print("");
      const documents = Object.entries(image.documents).map(([name, { size, sha256 }]) => [
        name,
        formatBytes(size),
        sha256.slice(0, 12),
      ]);
      printTable(output, ["DOCUMENT", "SIZE", "DIGEST"], documents);
    },
    example: "compute-1.0.0",
    deletable: true,
    filters: [["--deleted", "those that are deleted and can be brought back"]],
  });
  addUndelete<Image>(images, open, "image");

  const destroy = images.command("destroy <ids...>").description("end deleted images for good: they do not come back");
  destroy.addHelpText("after", "\nExample:\n  netkiln images destroy 8110388c-4180-4655-9003-6b384e70bcc5");
  destroy.action(async (ids: string[]) => {
    const { client, output } = open(destroy);
    for (const id of ids) {
      await client.send("POST", `/images/${encodeURIComponent(id)}/destroy`);
      if (!output.json) output.print(`destroyed ${id}`);
    }
  });
  addPromote(images, open);
  addVerify(images, open);
  addImagesDiff(images, open);
  addExport(images, open);
  addImageImport(images, open);
  addShell(images, open, environment);
}

function manualText({ layer, by, at, note }: ManualLayer): string {
  return `${layer.slice(0, 12)} by ${by} at ${at}${note === undefined ? "" : ` (${note})`}`;
}

function deletedAgo(deleted: string | undefined): string {
  return deleted === undefined ? "" : `, deleted ${ago(deleted, clock.now())}`;
}

function addPromote(images: Command, open: OpenSession): void {
  const promote = images
    .command("promote <image> <channel>")
    .description("point a channel at an image that has passed its gate");
  promote
    .option("-m, --comment <text>", "why, for the channel's history")
    .option("--expect <image>", "only when the channel points at this one now; none: only when it is not there yet");
  promote.addHelpText("after", "\nExample:\n  netkiln images promote compute-1.0.0 compute:stable");
  promote.action(async (image: string, channel: string, options: { comment?: string; expect?: string }) => {
    const { client, output } = open(promote);
    const moved = await client.send<Channel & { changed: boolean }>(
      "POST",
      `/images/${encodeURIComponent(image)}/promote`,
      { channel, ...moveRequest(options) },
    );
    if (output.json) return printJson(output, moved);
    const where = `${moved.imageName} (${moved.image})`;
    output.print(moved.changed ? `${moved.name} points at ${where}` : `${moved.name} points at ${where} already`);
  });
}

export function addConfigurations(program: Command, open: OpenSession): void {
  addNoun<Configuration>(program, open, {
    name: "configurations",
    summary: "ordered layers of playbooks at exact commits",
    columns: [
      ["NAME", ({ name }) => name],
      ["LAYERS", ({ layers }) => layers.map(({ playbook }) => playbook).join(", ")],
      ["CHANGED", ({ lastUpdated }) => ago(lastUpdated, clock.now())],
    ],
    describe: ({ name, lastUpdated, layers }, { output }) => {
      printFields(output, [
        ["name", name],
        ["changed", lastUpdated],
      ]);
      output.print("");
      printTable(
        output,
        ["LAYER", "PLAYBOOK", "BRANCH", "COMMIT", "REPOSITORY"],
        layers.map((layer) => [
          layer.name ?? "-",
          layer.playbook,
          layer.branch ?? "-",
          layer.commit.slice(0, 12),
          layer.url,
        ]),
      );
    },
    example: "compute-1.0.0",
    deletable: true,
  });
}

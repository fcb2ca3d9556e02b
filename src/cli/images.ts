import type { Command } from "commander";
import type { Configuration } from "../configuration/index.ts";
import type { Image } from "../image/index.ts";
import { clock } from "../lib/clock.ts";
import { addNoun, ago, type OpenSession } from "./command.ts";
import { formatBytes, printFields, printTable } from "./output.ts";

export function addImages(program: Command, open: OpenSession): void {
  addNoun<Image>(program, open, {
    name: "images",
    summary: "what nodes boot",
    columns: [
      ["NAME", ({ name }) => name],
      ["ID", ({ id }) => id],
      ["ROOTFS", ({ artifacts }) => formatBytes(artifacts.rootfs.size)],
      ["GATE", ({ verdict }) => verdict],
      ["MADE", ({ created }) => ago(created, clock.now())],
    ],
    describe: (image, { output }) => {
      const { artifacts, recipe, base } = image;
      printFields(output, [
        ["name", image.name],
        ["id", image.id],
        ["build id", image.buildId],
        ["made", image.created],
        ["arch", image.arch],
        ["gate", image.verdict],
        ["recipe", recipe && `${recipe.name} (${recipe.digest.slice(0, 12)})`],
        ["made from", base && `${base.name} (${base.buildId.slice(0, 12)})`],
        ["layers", image.commits.map(({ playbook, commit }) => `${playbook}@${commit.slice(0, 12)}`).join("  ")],
        ["parameters", image.kernelParameters],
        ["date epoch", String(image.epoch)],
        ["build", image.build],
      ]);
      output.print("");
      const files = (["rootfs", "kernel", "initrd", "manifest"] as const).flatMap((name) => {
        const digests = artifacts[name];
        return digests === undefined ? [] : [[name, formatBytes(digests.size), `sha256:${digests.sha256}`]];
      });
      printTable(output, ["FILE", "SIZE", "DIGEST"], files);
    },
    example: "compute-1.0.0",
    deletable: true,
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

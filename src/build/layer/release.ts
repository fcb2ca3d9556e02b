import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Layer } from "../../configuration/index.ts";

export interface Release {
  readonly name: string;
  readonly buildId: string;
  readonly commits: readonly Layer[];
  /** SOURCE_DATE_EPOCH of the image, seconds. */
  readonly epoch: number;
}

/** Files that go into every image, from node/: where they come from and where they go. */
const nodeFiles = [
  { from: "bin/report", to: "usr/lib/netkiln/report", mode: 0o755 },
  ...["netkiln-report-userspace.service", "netkiln-report-ready.service"].map((unit) => ({
    from: `systemd/${unit}`,
    to: `usr/lib/systemd/system/${unit}`,
    mode: 0o644,
  })),
];
const dracutModule = { from: "dracut/90netkiln", to: "usr/lib/dracut/modules.d/90netkiln" };

const source = (path: string) => fileURLToPath(new URL(`../../../node/${path}`, import.meta.url));

/** All files of ours that a release layer holds, as [source, path in the tree, mode]. */
export async function releaseFiles(): Promise<[source: string, target: string, mode: number][]> {
  const module = (await readdir(source(dracutModule.from))).sort();
  return [
    ...nodeFiles.map(({ from, to, mode }): [string, string, number] => [source(from), to, mode]),
    ...module.map((name): [string, string, number] => [
      source(`${dracutModule.from}/${name}`),
      `${dracutModule.to}/${name}`,
      0o755,
    ]),
  ];
}

/**
 * Puts into a staging folder what tells an image from another: /etc/netkiln/image-release (KEY=value lines, as
 * os-release(5)), and the units by which a node reports what it booted. An image boots without them as well.
 */
export async function stageRelease(release: Release, staging: string): Promise<void> {
  for (const [from, to, mode] of await releaseFiles()) {
    const target = join(staging, to);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await copyFile(from, target);
    await chmod(target, mode);
  }
  for (const { to } of nodeFiles.filter((file) => file.from.startsWith("systemd/"))) {
    const unit = to.slice(to.lastIndexOf("/") + 1);
    const wants = join(staging, "usr/lib/systemd/system", wantedBy(unit));
    await mkdir(wants, { recursive: true, mode: 0o755 });
    await symlink(`../${unit}`, join(wants, unit));
  }
  const folder = join(staging, "etc/netkiln");
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await writeFile(join(folder, "image-release"), releaseText(release), { mode: 0o644 });
}

function wantedBy(unit: string): string {
  return unit.includes("userspace") ? "sysinit.target.wants" : "multi-user.target.wants";
}

function releaseText(release: Release): string {
  const commits = release.commits.map((layer) => `${layer.playbook}@${layer.commit}`);
  return [
    `NAME="${release.name}"`,
    `BUILD_ID="${release.buildId}"`,
    `COMMITS="${commits.join(" ")}"`,
    `DATE_EPOCH=${release.epoch}`,
    "",
  ].join("\n");
}

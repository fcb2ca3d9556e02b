/**
 * Debian's mkosi (14) with the packages of the example. What it cannot do here is left out, which is in its favour: it
 * runs no Ansible (the configuration comes as files in mkosi.extra/), makes no initrd and runs no checks, as its
 * scripts need a host with systemd; for the same reason `WithDocs=yes`, with the paths left out by dpkg itself. It has
 * `Incremental` for no squashfs: it makes a folder, and mksquashfs packs that as the plain script does.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { hostAptSources } from "../src/build/base/apt-sources.ts";
import type { DebianSpec } from "../src/image/schema.ts";
import { installMissing } from "./debian.ts";
import { squashfsLevel } from "./site.ts";

const configuration = "etc/slurm/slurm.conf";

export interface Mkosi {
  /** Builds the image, and the cached tree when there is none. */
  build(): void;
  /**
   * Without a build script mkosi 14 makes one of its two cached trees, and uses that only when both are there: so it
   * makes it anew each time. With an empty second one, it uses the first.
   */
  useCache(): void;
  /** Changes the one line that the playbook changes. */
  change(level: string): void;
}

/** Installs mkosi when it is missing. `rootfs` is a squashfs of the image, whose configuration is taken. */
export async function openMkosi(folder: string, recipe: string, rootfs: string): Promise<Mkosi> {
  installMissing(["mkosi", "debootstrap"]);
  const spec = parse(readFileSync(join(recipe, "recipe.yaml"), "utf8")) as DebianSpec;
  mkdirSync(folder);
  const extra = join(folder, "mkosi.extra");
  cpSync(join(recipe, "files"), extra, { recursive: true });
  execFileSync("unsquashfs", ["-quiet", "-no-progress", "-force", "-dest", extra, rootfs, configuration], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const dpkg = join(folder, "mkosi.skeleton/etc/dpkg/dpkg.cfg.d");
  mkdirSync(dpkg, { recursive: true });
  writeFileSync(join(dpkg, "exclude"), spec.exclude.map((path) => `path-exclude=${path}\n`).join(""));
  writeFileSync(join(folder, "mkosi.conf"), await configFor(spec));
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LC_ALL: "C.UTF-8" };
  const run = (name: string, ...args: string[]) =>
    void execFileSync(name, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"], env, maxBuffer: 1 << 28 });
  return {
    build: () => {
      run("mkosi", "--force", "build");
      const options = ["-comp", "zstd", "-Xcompression-level", squashfsLevel, "-noappend", "-xattrs", "-no-progress"];
      // What the plain script removes.
      const left = ["-wildcards", "-e", "boot/*", "var/cache/apt/*", "var/lib/apt/lists/*", "tmp/*"];
      run("mksquashfs", "image", "rootfs", ...options, "-quiet", ...left);
    },
    useCache: () => {
      mkdirSync(join(folder, "image.cache-pre-dev"), { recursive: true });
    },
    change: (level) => {
      const file = join(extra, configuration);
      const text = readFileSync(file, "utf8").replace(/^SlurmdDebug=.*$/m, `SlurmdDebug=${level}`);
      if (!text.includes(`SlurmdDebug=${level}`)) throw new Error(`${file} has no line SlurmdDebug`);
      writeFileSync(file, text);
    },
  };
}

/** The host's own mirror, as for the others; `Incremental` keeps the tree of packages, mkosi's one cached cut. */
async function configFor({ suite, components, packages }: DebianSpec): Promise<string> {
  const [source = ""] = await hostAptSources(suite, components);
  const mirror = /(\S+:\/\/\S+)/.exec(source)?.[1] ?? "";
  const lines = [
    ...["[Distribution]", "Distribution=debian", `Release=${suite}`, `Mirror=${mirror}`],
    ...["[Output]", "Format=directory", "Output=image", "Bootable=no"],
    ...["[Content]", "WithDocs=yes", `Packages=${packages.join(",")}`],
    ...["[Host]", "Incremental=yes"],
  ];
  return `${lines.join("\n")}\n`;
}

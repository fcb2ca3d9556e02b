/**
 * Two cold builds of the example in every form, in two data folders and from two copies of the site at other paths:
 * which parts of the images are the same bit for bit.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { artifactNames, type Image } from "../src/image/index.ts";
import { bootprepFor, commit, inFolder, makeSite, startNetkiln } from "./site.ts";

const outputs = ["squashfs", "erofs", "cpio.gz", "cpio.zst", "verity", "oci"];
const called: Readonly<Record<string, string>> = { rootfs: "squashfs", verity: "verity tree", oci: "OCI manifest" };

export async function bench(): Promise<void> {
  await inFolder(async (folder) => {
    const site = makeSite(join(folder, "site"));
    const recipe = join(site, "recipe/recipe.yaml");
    writeFileSync(recipe, `${readFileSync(recipe, "utf8")}\noutputs: [${outputs.join(", ")}]\n`);
    writeFileSync(join(site, "one.yaml"), bootprepFor(["main"]));
    commit(site, "every form");
    const again = join(folder, "another/place/of-the-site");
    execFileSync("git", ["clone", "--quiet", site, again]);
    const first = await digests(site, join(folder, "data"));
    const second = await digests(again, join(folder, "another/folder-of-data"));
    const parts = [...new Set([...first.keys(), ...second.keys()])];
    const same = (part: string) => first.get(part) === second.get(part);
    console.log("");
    for (const part of parts) {
      const shown = (digest = "missing") => digest.slice(0, 16);
      const verdict = same(part) ? "identical" : `DIFFERENT: ${shown(second.get(part))}`;
      console.log(`${part.padEnd(20)} ${shown(first.get(part))}  ${verdict}`);
    }
    for (const part of parts.filter((part) => part.startsWith("layer") && !same(part))) {
      const at = (data: string, digest: string | undefined) => join(folder, data, "layers", digest ?? "");
      showDifference(at("data", first.get(part)), at("another/folder-of-data", second.get(part)));
    }
    console.log(
      JSON.stringify({
        bench: "reproduce",
        identical: parts.filter(same),
        different: parts.filter((part) => !same(part)),
      }),
    );
  });
}

/** Builds the example in an empty data folder; returns the digest of each part of the image. */
async function digests(site: string, data: string): Promise<ReadonlyMap<string, string>> {
  const netkiln = await startNetkiln(data);
  try {
    netkiln.run("recipes", "import", join(site, "recipe"));
    netkiln.run("bootprep", "run", join(site, "one.yaml"));
    return partsOf(netkiln.image("compute-main"), data);
  } finally {
    await netkiln.stop();
  }
}

function partsOf(image: Image, data: string): ReadonlyMap<string, string> {
  const parts = new Map([["root tree", image.chain]]);
  image.layers.toReversed().forEach((layer, index) => parts.set(`layer ${index + 1}`, layer));
  for (const artifact of artifactNames) {
    const { sha256 } = image.artifacts[artifact] ?? {};
    if (sha256 !== undefined) parts.set(called[artifact] ?? artifact, sha256);
  }
  if (image.rootHash !== undefined) parts.set("verity root hash", image.rootHash);
  if (image.artifacts.oci !== undefined) {
    const manifest = JSON.parse(readBlob(data, image.artifacts.oci.sha256)) as {
      readonly config: { readonly digest: string };
      readonly layers: readonly { readonly digest: string }[];
    };
    parts.set("OCI configuration", withoutAlgorithm(manifest.config.digest));
    manifest.layers.forEach(({ digest }, index) => parts.set(`OCI layer ${index + 1}`, withoutAlgorithm(digest)));
  }
  return parts;
}

function readBlob(data: string, sha256: string): string {
  return readFileSync(join(data, "blobs/sha256", sha256.slice(0, 2), sha256), "utf8");
}

function withoutAlgorithm(digest: string): string {
  return digest.replace(/^sha256:/, "");
}

/** The files that two layers do not have in common. */
function showDifference(a: string, b: string): void {
  try {
    execFileSync("diff", ["--recursive", "--brief", "--no-dereference", a, b], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  } catch {
    // diff says "different" by its exit code, and has said what.
  }
}

import { readFile } from "node:fs/promises";
import type { BlobStore } from "../../artifact/index.ts";
import type { Verdict } from "../../compliance/index.ts";
import type { Image, Inventory, SigningKey } from "../../image/index.ts";
import type { Digests } from "../../lib/files.ts";
import type { Lock } from "../base/types.ts";
import type { Planned } from "../types.ts";
import { provenanceStatement, statementText, testResultStatement, type LockedPackage, type Run } from "./provenance.ts";
import { cyclonedxDocument } from "./sbom-cyclonedx.ts";
import { spdxDocument } from "./sbom-spdx.ts";
import type { SbomSubject } from "./sbom.ts";

/** Who builds, in provenance. */
export const builderId = "urn:netkiln:builder:1";

/** What a tree holds, told in each way. */
export interface TreeInventory {
  /** The blob of the inventory. */
  readonly file: Digests;
  readonly os: Inventory["os"];
  readonly sboms: Readonly<Record<string, string>>;
}

/** What is known of an image when its files are there. */
export interface Described {
  readonly image: Omit<Image, "documents">;
  readonly inventory: TreeInventory;
  readonly steps: readonly Pick<Planned, "kind" | "title" | "key" | "inputs">[];
  readonly locks: readonly Lock[];
  readonly verdict: Verdict | undefined;
  readonly run: Run;
  readonly version: string;
}

/**
 * Writes what is stored beside an image: SBOMs, provenance, which names every file of the image by its digest, the
 * gate's result, and a signature for each of them and for the manifest.
 */
export async function writeDocuments(
  described: Described,
  key: SigningKey,
  blobs: BlobStore,
): Promise<Record<string, Digests>> {
  const { image, inventory, steps, locks, verdict, run, version } = described;
  const subjects = Object.entries(image.artifacts).map(([name, { sha256 }]) => ({
    name: name === "manifest" ? "manifest.json" : name,
    sha256,
  }));
  const provenance = provenanceStatement({
    image,
    subjects,
    os: inventory.os,
    steps,
    packages: locks.flatMap(packagesOf),
    commits: image.commits,
    builder: { id: builderId, tools: { netkiln: version, ...image.tools } },
    run,
  });
  const texts: Record<string, string> = {
    ...inventory.sboms,
    "provenance.json": statementText(provenance),
    ...(verdict !== undefined && { "test-result.json": statementText(testResultStatement(subjects, verdict)) }),
    "manifest.json": await readFile(blobs.path(image.artifacts.manifest.sha256), "utf8"),
  };
  const signed = Object.entries(texts).map(async ([name, text]): Promise<[string, Digests][]> => {
    const comment = `image:${image.name} id:${image.id} file:${name}`;
    const signature = await key.sign(Buffer.from(text), comment);
    // Most of what each takes is waiting for the disk.
    const [document, beside] = await Promise.all([blobs.putBytes(text), blobs.putBytes(signature)]);
    return [
      [name, document],
      [`${name}.minisig`, beside],
    ];
  });
  return Object.fromEntries([["inventory.json", inventory.file], ...(await Promise.all(signed)).flat()]);
}

/** The SBOMs of an image, by the names under which they are stored: they tell of nothing but what is in its tree. */
export function sbomsOf(subject: SbomSubject, inventory: Inventory): Readonly<Record<string, string>> {
  return {
    "sbom.spdx.json": spdxDocument(subject, inventory),
    "sbom.cdx.json": cyclonedxDocument(subject, inventory),
  };
}

function packagesOf({ family, packages }: Lock): LockedPackage[] {
  const kind = family === "deb" ? "deb" : "rpm";
  return packages.map(({ name, version, arch, sha256 }) => ({ kind, name, version, arch, sha256 }));
}

import { readFile } from "node:fs/promises";
import type { BlobStore } from "../../artifact/index.ts";
import type { Verdict } from "../../compliance/index.ts";
import { parseInventory, type Image, type SigningKey } from "../../image/index.ts";
import type { Digests } from "../../lib/files.ts";
import type { Lock } from "../base/types.ts";
import type { Planned } from "../types.ts";
import { provenanceStatement, statementText, testResultStatement, type LockedPackage, type Run } from "./provenance.ts";
import { cyclonedxDocument } from "./sbom-cyclonedx.ts";
import { spdxDocument } from "./sbom-spdx.ts";

/** Who builds, in provenance. */
export const builderId = "urn:netkiln:builder:1";

/** What is known of an image when its files are there. */
export interface Described {
  readonly image: Omit<Image, "documents">;
  /** The blob of the tree's inventory. */
  readonly inventory: Digests;
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
  const { image, steps, locks, verdict, run, version } = described;
  const inventory = parseInventory(await readFile(blobs.path(described.inventory.sha256), "utf8"), "the inventory");
  const subject = { ...image, tool: { name: "netkiln", version } };
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
    "sbom.spdx.json": spdxDocument(subject, inventory),
    "sbom.cdx.json": cyclonedxDocument(subject, inventory),
    "provenance.json": statementText(provenance),
    ...(verdict !== undefined && { "test-result.json": statementText(testResultStatement(subjects, verdict)) }),
    "manifest.json": await readFile(blobs.path(image.artifacts.manifest.sha256), "utf8"),
  };
  const documents: Record<string, Digests> = { "inventory.json": described.inventory };
  for (const [name, text] of Object.entries(texts)) {
    documents[name] = await blobs.putBytes(text);
    const comment = `image:${image.name} id:${image.id} file:${name}`;
    documents[`${name}.minisig`] = await blobs.putBytes(await key.sign(Buffer.from(text), comment));
  }
  return documents;
}

function packagesOf({ family, packages }: Lock): LockedPackage[] {
  const kind = family === "deb" ? "deb" : "rpm";
  return packages.map(({ name, version, arch, sha256 }) => ({ kind, name, version, arch, sha256 }));
}

import type { Inventory, InventoryPackage } from "../../image/index.ts";
import { canonicalJson, sha256 } from "../../lib/files.ts";
import { licenseExpression } from "./licenses.ts";
import { purlOf } from "./purl.ts";
import { elementId, isUrl, known, sbomTime, type SbomSubject } from "./sbom.ts";

const nothing = "NOASSERTION";
const image = "SPDXRef-Image";
const system = "SPDXRef-OperatingSystem";

/**
 * The packages of an image as SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/). The same inventory gives the
 * same bytes: the time is the image's epoch, and the namespace is derived from what is described.
 */
export function spdxDocument(subject: SbomSubject, inventory: Inventory): string {
  const { os, packages } = inventory;
  const references = new Map<string, string>();
  const elements = packages.map((entry) => packageElement(entry, inventory, references));
  const digest = sha256(canonicalJson([subject, os, packages]));
  const contained = [system, ...elements.map(({ SPDXID }) => SPDXID)];
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: subject.name,
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(subject.name)}-${digest.slice(0, 32)}`,
    creationInfo: { created: sbomTime(subject), creators: [`Tool: ${subject.tool.name}-${subject.tool.version}`] },
    comment: known(inventory),
    documentDescribes: [image],
    packages: [
      {
        ...plainElement(image, subject.name, subject.buildId),
        primaryPackagePurpose: "OTHER",
        comment: `The root file system of an image for ${subject.arch}, by its build id.`,
      },
      {
        ...plainElement(system, os.id, os.versionId),
        primaryPackagePurpose: "OPERATING_SYSTEM",
        ...(os.prettyName !== undefined && { description: os.prettyName }),
      },
      ...elements,
    ],
    hasExtractedLicensingInfos: [...references]
      .map(([name, licenseId]) => ({
        licenseId,
        name,
        extractedText: `"${name}", as packages of this image call it; what it says stands in the packages.`,
      }))
      .sort((a, b) => (a.licenseId < b.licenseId ? -1 : 1)),
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: image },
      ...contained.map((id) => ({ spdxElementId: image, relationshipType: "CONTAINS", relatedSpdxElement: id })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function packageElement(entry: InventoryPackage, { os }: Inventory, references: Map<string, string>) {
  const { homepage, supplier, source, licenses, path } = entry;
  const license = licenseExpression(licenses ?? []);
  for (const [name, reference] of license?.references ?? []) references.set(name, reference);
  const purl = purlOf(entry, os);
  return {
    ...plainElement(`SPDXRef-Package-${elementId(entry, purl)}`, entry.name, entry.version),
    ...(supplier !== undefined && { supplier: `Organization: ${mailbox(supplier)}` }),
    ...(homepage !== undefined && isUrl(homepage) && { homepage }),
    // The words that vulnerability scanners know from other makers of SBOMs.
    ...(source !== undefined && { sourceInfo: `built package from: ${source.name} ${source.version}` }),
    ...(path !== undefined && { comment: `found in ${path}` }),
    licenseDeclared: license?.expression ?? nothing,
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl }],
  };
}

/** "NAME <ADDRESS>" as SPDX writes it: NAME (ADDRESS). */
function mailbox(text: string): string {
  return text.replace(/\s*<([^<>]*)>\s*$/, " ($1)");
}

function plainElement(SPDXID: string, name: string, version: string | undefined) {
  return {
    SPDXID,
    name,
    ...(version !== undefined && { versionInfo: version }),
    downloadLocation: nothing,
    filesAnalyzed: false,
    licenseConcluded: nothing,
    licenseDeclared: nothing,
    copyrightText: nothing,
  };
}

import type { Inventory, InventoryPackage } from "../../image/index.ts";
import { canonicalJson, sha256 } from "../../lib/files.ts";
import { licenseExpression } from "./licenses.ts";
import { purlOf } from "./purl.ts";
import { elementId, isUrl, known, sbomTime, type SbomSubject } from "./sbom.ts";

/**
 * The packages of an image as CycloneDX 1.6 in JSON (https://cyclonedx.org/docs/1.6/json/). The same inventory gives
 * the same bytes: the time is the image's epoch, and the serial number is derived from what is described.
 */
export function cyclonedxDocument(subject: SbomSubject, inventory: Inventory): string {
  const { os, packages } = inventory;
  const components = packages.map((entry) => component(entry, os));
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(canonicalJson([subject, os, packages]))}`,
    version: 1,
    metadata: {
      timestamp: sbomTime(subject),
      tools: { components: [{ type: "application", name: subject.tool.name, version: subject.tool.version }] },
      component: { "bom-ref": "image", type: "operating-system", name: subject.name, version: subject.buildId },
      properties: [
        { name: "netkiln:arch", value: subject.arch },
        { name: "netkiln:known", value: known(inventory) },
      ],
    },
    components: [
      {
        "bom-ref": "operating-system",
        type: "operating-system",
        name: os.id,
        ...(os.versionId !== undefined && { version: os.versionId }),
        ...(os.prettyName !== undefined && { description: os.prettyName }),
      },
      ...components,
    ],
    dependencies: [{ ref: "image", dependsOn: ["operating-system", ...components.map((entry) => entry["bom-ref"])] }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function component(entry: InventoryPackage, os: Inventory["os"]) {
  const { name, version, supplier, homepage, source, section, size, path } = entry;
  const purl = purlOf(entry, os);
  const properties = Object.entries({
    "netkiln:source": source && `${source.name} ${source.version}`,
    "netkiln:section": section,
    "netkiln:installed-size": size === undefined ? undefined : String(size),
    "netkiln:path": path,
  }).flatMap(([property, value]) => (value === undefined ? [] : [{ name: property, value }]));
  return {
    "bom-ref": elementId(entry, purl),
    type: "library",
    ...(supplier !== undefined && { supplier: { name: supplier } }),
    name,
    version,
    ...licensesOf(entry),
    purl,
    ...(homepage !== undefined && isUrl(homepage) && { externalReferences: [{ type: "website", url: homepage }] }),
    ...(properties.length > 0 && { properties }),
  };
}

/** Either one expression or names: a name that is not on SPDX's list has no place in an expression here. */
function licensesOf({ licenses = [] }: InventoryPackage) {
  const license = licenseExpression(licenses);
  if (license === undefined) return {};
  if (license.references.size === 0) return { licenses: [{ expression: license.expression }] };
  return { licenses: licenses.map((name) => ({ license: { name } })) };
}

/** A version 8 UUID (RFC 9562): its bits are ours to choose, and come from a digest. */
function uuidOf(text: string): string {
  const digest = sha256(text);
  const variant = ((Number.parseInt(digest.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join("-");
}

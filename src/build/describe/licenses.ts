import parseExpression from "spdx-expression-parse";
import { sha256 } from "../../lib/files.ts";

/** A licence as SPDX can say it: an expression (SPDX 2.3, annex D), and the names in it that are not on SPDX's list. */
export interface LicenseExpression {
  readonly expression: string;
  /** LicenseRef by what the package calls it. */
  readonly references: ReadonlyMap<string, string>;
}

/**
 * Names that Debian's copyright files and RPM's License tags (before they took SPDX's) have for licences on SPDX's
 * list. What is ambiguous, such as "BSD" or "GPL", is not here: it stays what the package calls it.
 */
const synonyms: Readonly<Record<string, string>> = {
  expat: "MIT",
  "apache-2": "Apache-2.0",
  "asl 2.0": "Apache-2.0",
  "asl 1.1": "Apache-1.1",
  "artistic-1": "Artistic-1.0",
  "artistic 2.0": "Artistic-2.0",
  "boost-1.0": "BSL-1.0",
  boost: "BSL-1.0",
  "bsd-2-clause": "BSD-2-Clause",
  "bsd-3-clause": "BSD-3-Clause",
  "bsd-4-clause": "BSD-4-Clause",
  cc0: "CC0-1.0",
  "cc-by-sa-3": "CC-BY-SA-3.0",
  openssl: "OpenSSL",
  "python-2": "Python-2.0",
  zlib: "Zlib",
  isc: "ISC",
  "mplv1.1": "MPL-1.1",
  "mplv2.0": "MPL-2.0",
  "zope-2.1": "ZPL-2.1",
  "zplv2.1": "ZPL-2.1",
};

/** "GPL-2", "LGPL-2.1+", "AGPL-3.0" of Debian, "GPLv2+", "LGPLv2+" of RPM: a "+" means later versions too. */
const gnu = /^(A?GPL|LGPL|GFDL)(?:-|v)(\d)(?:\.(\d))?(\+)?$/i;

/** The licence of a package by its own words, of which all hold; undefined when it says nothing. */
export function licenseExpression(licenses: readonly string[]): LicenseExpression | undefined {
  const references = new Map<string, string>();
  const parts = [...new Set(licenses.map((license) => translate(license, references)))];
  if (parts.length === 0) return undefined;
  const compound = (part: string) => (/ (AND|OR) /.test(part) && parts.length > 1 ? `(${part})` : part);
  return { expression: parts.map(compound).join(" AND "), references };
}

/** Of the words between "and", "or" and brackets each is a licence; where that makes no sense, the whole is one. */
function translate(text: string, references: Map<string, string>): string {
  const found = new Map<string, string>();
  // In Debian's form ", and" binds weaker than "or" (copyright-format 1.0, "Syntax").
  const groups = text.split(/,\s+(?=(?:and|or)\s)/i).map((group) => translateTerms(group, found));
  const [first = "", ...rest] = groups;
  const expression = groups.length === 1 ? first : [`(${first})`, ...rest.map(bracketed)].join(" ");
  if (isExpression(expression)) {
    for (const [name, reference] of found) references.set(name, reference);
    return expression;
  }
  const whole = referenceOf(text);
  references.set(text, whole);
  return whole;
}

function bracketed(group: string): string {
  return group.replace(/^(AND|OR) (.*)$/, "$1 ($2)");
}

function translateTerms(text: string, references: Map<string, string>): string {
  const words = text.split(/(\(|\)|(?:^|\s+)(?:and|or)\s+)/i);
  const translated = words.map((word) => {
    const bare = word.trim();
    if (bare === "" || bare === "(" || bare === ")") return bare;
    if (/^(and|or)$/i.test(bare)) return ` ${bare.toUpperCase()} `;
    return translateName(bare, references);
  });
  return translated.join("").trim();
}

function translateName(name: string, references: Map<string, string>): string {
  const [, family = "", major = "", minor = "0", later] = gnu.exec(name) ?? [];
  const id = family === "" ? synonyms[name.toLowerCase()] : `${family.toUpperCase()}-${major}.${minor}`;
  const known = family === "" ? id : `${id}-${later === undefined ? "only" : "or-later"}`;
  if (known !== undefined && isExpression(known)) return known;
  if (isExpression(name)) return name;
  const reference = referenceOf(name);
  references.set(name, reference);
  return reference;
}

/** Letters, digits, "." and "-"; what must be changed for that gets a digest, so that two names stay two. */
function referenceOf(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9.]+/g, "-");
  return `LicenseRef-${plain === name ? name : `${plain.slice(0, 60)}-${sha256(name).slice(0, 8)}`}`;
}

function isExpression(text: string): boolean {
  try {
    parseExpression(text);
    return true;
  } catch {
    return false;
  }
}

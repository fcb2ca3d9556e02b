/** Ranges of semantic versions as goss's `semver-constraint` takes them (github.com/blang/semver, ParseRange). */
export type SemverRange = (version: string) => boolean;

interface Version {
  readonly numbers: readonly [number, number, number];
  readonly prerelease: readonly string[];
}

type Comparison = (order: number) => boolean;

const comparisons: Readonly<Record<string, Comparison>> = {
  "": (order) => order === 0,
  "=": (order) => order === 0,
  "==": (order) => order === 0,
  "!": (order) => order !== 0,
  "!=": (order) => order !== 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
};

/** Blanks join with "and", "||" with "or". Throws an Error when the range is not valid. */
export function parseSemverRange(text: string): SemverRange {
  const alternatives = text.split("||").map((part) =>
    part
      .replaceAll(/([<>=!])\s+/g, "$1")
      .split(/\s+/)
      .filter(Boolean),
  );
  if (alternatives.some((terms) => terms.length === 0)) throw new Error(`"${text}" is not a range of versions`);
  const tests = alternatives.map((terms) => terms.map(parseTerm));
  return (version) => {
    const parsed = parseVersion(version);
    return tests.some((terms) => terms.every((term) => term(parsed)));
  };
}

function parseTerm(term: string): (version: Version) => boolean {
  const [, operator = "", bound = ""] = /^([<>=!]*)(.*)$/.exec(term) ?? [];
  const compare = comparisons[operator];
  if (compare === undefined) throw new Error(`"${operator}" is not a comparison of versions`);
  const wildcard = /^(\d+)\.(?:(\d+)\.)?[xX](?:\.[xX])?$/.exec(bound);
  if (wildcard === null) {
    const version = parseVersion(bound);
    return (candidate) => compare(compareVersions(candidate, version));
  }
  // "1.2.x" stands for the span [1.2.0, 1.3.0): a version in the span counts as equal to it.
  const major = Number(wildcard[1]);
  const minor = wildcard[2] === undefined ? undefined : Number(wildcard[2]);
  const first: Version = { numbers: [major, minor ?? 0, 0], prerelease: [] };
  const next: Version = {
    numbers: minor === undefined ? [major + 1, 0, 0] : [major, minor + 1, 0],
    prerelease: [],
  };
  return (candidate) =>
    compare(compareVersions(candidate, first) < 0 ? -1 : compareVersions(candidate, next) >= 0 ? 1 : 0);
}

/** Throws an Error when `text` is not MAJOR.MINOR.PATCH with an optional -PRERELEASE and +BUILD. */
function parseVersion(text: string): Version {
  const parts = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (parts === null) throw new Error(`"${text}" is not a semantic version`);
  return {
    numbers: [Number(parts[1]), Number(parts[2]), Number(parts[3])],
    prerelease: parts[4]?.split(".") ?? [],
  };
}

function compareVersions(a: Version, b: Version): number {
  for (const [index, number] of a.numbers.entries()) {
    const order = number - (b.numbers[index] ?? 0);
    if (order !== 0) return order;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    const order = comparePrerelease(part, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

/** Numbers by value and below texts, texts by their characters (semver.org, clause 11). */
function comparePrerelease(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber && bIsNumber) return Number(a) - Number(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

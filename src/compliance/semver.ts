import { compareVersions, parseVersion, type Version } from "../lib/semver.ts";

/** Ranges of semantic versions as goss's `semver-constraint` takes them (github.com/blang/semver, ParseRange). */
export type SemverRange = (version: string) => boolean;

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
    const parsed = requireVersion(version);
    return tests.some((terms) => terms.every((term) => term(parsed)));
  };
}

function parseTerm(term: string): (version: Version) => boolean {
  const [, operator = "", bound = ""] = /^([<>=!]*)(.*)$/.exec(term) ?? [];
  const compare = comparisons[operator];
  if (compare === undefined) throw new Error(`"${operator}" is not a comparison of versions`);
  const wildcard = /^(\d+)\.(?:(\d+)\.)?[xX](?:\.[xX])?$/.exec(bound);
  if (wildcard === null) {
    const version = requireVersion(bound);
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

/** Throws an Error when `text` is no version. */
function requireVersion(text: string): Version {
  const version = parseVersion(text);
  if (version === undefined) throw new Error(`"${text}" is not a semantic version`);
  return version;
}

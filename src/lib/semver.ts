/** Versions and their order (semver.org, clause 11). */
export interface Version {
  readonly numbers: readonly number[];
  readonly prerelease: readonly string[];
}

/** MAJOR.MINOR.PATCH with an optional -PRERELEASE and +BUILD; undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  return parse(/^(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/, text);
}

/** As products are numbered: with any count of numbers (`22.11`, `2.4.79.1`) and perhaps a `v` in front. */
export function parseRelease(text: string): Version | undefined {
  return parse(/^v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/, text);
}

/** Missing numbers count as 0. */
export function compareVersions(a: Version, b: Version): number {
  for (let index = 0; index < Math.max(a.numbers.length, b.numbers.length); index += 1) {
    const order = (a.numbers[index] ?? 0) - (b.numbers[index] ?? 0);
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

/** The item with the highest version; what is no version is below all that are. Undefined when there are none. */
export function newestOf<T>(items: readonly T[], versionOf: (item: T) => string): T | undefined {
  const compare = (a: T, b: T): number => {
    const [left, right] = [parseRelease(versionOf(a)), parseRelease(versionOf(b))];
    if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
    return compareVersions(left, right);
  };
  return items.toSorted(compare).at(-1);
}

function parse(form: RegExp, text: string): Version | undefined {
  const parts = form.exec(text);
  if (parts === null) return undefined;
  return { numbers: (parts[1] ?? "").split(".").map(Number), prerelease: parts[2]?.split(".") ?? [] };
}

/** Numbers by value and below texts, texts by their characters. */
function comparePrerelease(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber && bIsNumber) return Number(a) - Number(b);
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

import { compareVersions, parseVersion } from "../lib/semver.ts";

/** The newest schema of bootprep files that is understood. */
export const currentSchemaVersion = "1.0.9";

/**
 * Whether a file of schema `version` can be read by one that knows `current` (both MAJOR.MINOR.PATCH), by the rules
 * in the contract's description of schema_version.
 */
export function checkSchemaVersion(
  version: string,
  current: string = currentSchemaVersion,
): {
  readonly verdict: "ok" | "warning" | "mistake";
  readonly message: string;
  readonly hint?: string;
} {
  const theirs = parseVersion(version);
  const ours = parseVersion(current);
  if (theirs === undefined || ours === undefined) {
    return {
      verdict: "mistake",
      message: `"${version}" is not a version`,
      hint: `write it as in ${current}`,
    };
  }
  // What follows the three numbers is not looked at, as in sat.
  if (compareVersions({ ...theirs, prerelease: [] }, { ...ours, prerelease: [] }) > 0) {
    return {
      verdict: "mistake",
      message: `${version} is newer than ${current}, the newest that is understood`,
      hint: "it may hold keys that this version does not know; upgrade netkiln, or write the file for the older schema",
    };
  }
  const [major = 0, minor = 0] = ours.numbers;
  const [theirMajor = 0, theirMinor = 0] = theirs.numbers;
  if (theirMajor < major) {
    return {
      verdict: "mistake",
      message: `${version} is of an older major version than ${current}`,
      hint: `rewrite the file for schema ${current}`,
    };
  }
  if (theirMinor < minor) {
    return {
      verdict: "warning",
      message: `${version} is older than ${current}; some keys may mean something else now`,
    };
  }
  return { verdict: "ok", message: "" };
}

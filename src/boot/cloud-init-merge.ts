type Value = Readonly<Record<string, unknown>>;

/** What a PATCH leaves of cloud-init's data: meta-data and user-data are merged, of phone-home the newer one is whole. */
export function mergeCloudInit(current: Value | undefined, change: Value | undefined): Value | undefined {
  if (change === undefined || current === undefined) return change ?? current;
  const merged: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(change)) {
    if (key !== "phone-home") merged[key] = mergePatch(merged[key], value);
    else if (isObject(value) && Object.values(value).some((said) => said !== "")) merged[key] = value;
  }
  return merged;
}

/** RFC 7396: objects are merged, null removes a member, and anything else replaces what was there. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const members = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) members.delete(key);
    else members.set(key, mergePatch(members.get(key), value));
  }
  return Object.fromEntries(members);
}

function isObject(value: unknown): value is Value {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

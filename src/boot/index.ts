export { resolveBoot, type BootQuery, type Resolution } from "./resolve.ts";
export { bootScript, chainScript, imageOfLink, waitScript, type ScriptQuery } from "./script.ts";
export { migrations, openBootEntries, type BootEntryStore } from "./store.ts";
export { defaultTag, type BootEntry, type BootParameters, type EntryKind, type EntryNames } from "./types.ts";

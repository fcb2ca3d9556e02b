import type { Deleted } from "./store.ts";
import type { Image } from "./types.ts";

export interface RetentionRules {
  /** So many of each name stay, the newest. */
  readonly keepLast: number;
  /** Images younger than this stay, in days; logs of builds too. */
  readonly keepDays: number;
  /** What is deleted can be brought back for this long, in days. */
  readonly deletedDays: number;
  /** So many moves of each channel can be undone: where they came from stays. */
  readonly channelHistory: number;
}

/** What becomes of an image: `delete` takes it out of use, `destroy` ends one that was deleted before. */
export interface Fate {
  readonly image: Image | Deleted<Image>;
  readonly fate: "keep" | "delete" | "destroy";
  /** Why it is kept, in sentences about "it"; empty unless it is. */
  readonly because: readonly string[];
}

const dayMs = 86_400_000;

/** Says what the rules do with images. `live` is newest first; `uses` has sentences about each image that is in use. */
export function decideFates(
  live: readonly Image[],
  deleted: readonly Deleted<Image>[],
  uses: ReadonlyMap<string, readonly string[]>,
  rules: RetentionRules,
  now: Date,
): Fate[] {
  const seen = new Map<string, number>();
  const olderThan = (time: string, days: number) => now.getTime() - Date.parse(time) >= days * dayMs;
  const fates = live.map((image): Fate => {
    const place = (seen.get(image.name) ?? 0) + 1;
    seen.set(image.name, place);
    const because = [...(uses.get(image.id) ?? [])];
    if (place <= rules.keepLast) because.push(newestOf(image.name, rules.keepLast));
    if (!olderThan(image.created, rules.keepDays)) because.push(`it is younger than ${rules.keepDays} days`);
    return { image, fate: because.length > 0 ? "keep" : "delete", because };
  });
  const ended = deleted.map((image): Fate => {
    const because = [...(uses.get(image.id) ?? [])];
    if (!olderThan(image.deleted, rules.deletedDays)) {
      because.push(`it was deleted less than ${rules.deletedDays} days ago and can be brought back`);
    }
    return { image, fate: because.length > 0 ? "keep" : "destroy", because };
  });
  return [...fates, ...ended];
}

function newestOf(name: string, count: number): string {
  return count === 1 ? `it is the newest ${name}` : `it is one of the newest ${count} named ${name}`;
}

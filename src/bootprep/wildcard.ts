/**
 * Whether a whole name is like a pattern as Python's fnmatch has them: `*` is anything, `?` one character, `[abc]`,
 * `[a-z]` and `[!abc]` one of a set. Takes time of at most the product of both lengths, whatever the pattern is.
 */
export function matchesWildcard(name: string, pattern: string): boolean {
  const parts = partsOf(pattern);
  const characters = [...name];
  let at = 0;
  let part = 0;
  /** Where to go on from when what follows the last star does not fit. */
  let star: { readonly part: number; at: number } | undefined;
  while (at < characters.length) {
    const test = parts[part];
    if (test === "*") {
      star = { part, at };
      part += 1;
    } else if (test?.(characters[at] ?? "") === true) {
      at += 1;
      part += 1;
    } else if (star !== undefined) {
      star.at += 1;
      at = star.at;
      part = star.part + 1;
    } else return false;
  }
  return parts.slice(part).every((test) => test === "*");
}

type Part = "*" | ((character: string) => boolean);

function partsOf(pattern: string): readonly Part[] {
  // A bracket that is not closed stands for itself; one right after the opening is a member.
  return [...pattern.matchAll(/\*|\?|\[(!?)(\]?[^\]]+|\])\]|[\s\S]/gu)].map(([text, not, set]): Part => {
    if (text === "*") return "*";
    if (text === "?") return () => true;
    if (set === undefined) return (character) => character === text;
    return (character) => isMember(character, set) === (not === "");
  });
}

function isMember(character: string, set: string): boolean {
  return [...set.matchAll(/([\s\S])-([\s\S])|[\s\S]/gu)].some(([text, first, last]) =>
    first === undefined || last === undefined ? text === character : first <= character && character <= last,
  );
}

import type { LockChanges } from "../build/index.ts";

/** What an update of a recipe's package lock would change, a line for each package. */
export function lockChangesLines({ added, removed, changed, files }: LockChanges): string[] {
  if (added.length + removed.length + changed.length + files.length === 0) return ["the packages are the same"];
  const width = Math.max(0, ...[...added, ...removed, ...changed].map(({ name }) => name.length));
  const line = (mark: string, name: string, what: string) => `${mark} ${name.padEnd(width)}  ${what}`;
  const lines = [
    ...changed.map(({ name, from, to }) => {
      return line(
        "~",
        name,
        from === to ? `${from} (rebuilt: the same version with other content)` : `${from} -> ${to}`,
      );
    }),
    ...added.map(({ name, version }) => line("+", name, version)),
    ...removed.map(({ name, version }) => line("-", name, version)),
  ];
  const counts = [
    [changed.length, "changed"],
    [added.length, "added"],
    [removed.length, "removed"],
  ] as const;
  if (lines.length === 0) return ["the packages are the same; what the archives say about them has changed"];
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return [...lines, told.join(", ")];
}

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** What stands at a path: the text of a file, a link, or a file or folder with a mode. */
export type Planted =
  | string
  | { readonly link: string }
  | { readonly text: string; readonly mode: number }
  | "directory/";

/** For tests: a root tree in a temporary folder, removed after the test. Returns its path. */
export function plantTree(test: TestContext, entries: Readonly<Record<string, Planted>>): string {
  const root = mkdtempSync(join(tmpdir(), "netkiln-planted-"));
  test.after(() => rmSync(root, { recursive: true }));
  for (const [path, entry] of Object.entries(entries)) {
    const place = join(root, path);
    mkdirSync(entry === "directory/" ? place : dirname(place), { recursive: true });
    if (entry === "directory/") continue;
    if (typeof entry === "string") writeFileSync(place, entry);
    else if ("link" in entry) symlinkSync(entry.link, place);
    else {
      writeFileSync(place, entry.text);
      chmodSync(place, entry.mode);
    }
  }
  return root;
}

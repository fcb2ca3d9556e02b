import type { Command } from "commander";
import { addNoun, type OpenSession } from "./command.ts";

interface Key {
  readonly id: string;
  /** minisign's public key file. */
  readonly text: string;
  readonly signs: boolean;
}

/** Adds `keys list` and `keys describe`: who signs images, and who may have. */
export function addKeys(program: Command, open: OpenSession): void {
  addNoun<Key>(program, open, {
    name: "keys",
    summary: "by which images are signed",
    columns: [
      ["ID", ({ id }) => id],
      ["SIGNS", ({ signs }) => (signs ? "yes" : "no")],
    ],
    describe: ({ text }, { output }) => output.print(text.trimEnd()),
    example: "1A2B3C4D5E6F7A8B",
  });
}

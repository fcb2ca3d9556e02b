import type { Command } from "commander";
import { addNoun, type OpenSession } from "./command.ts";
import { printJson } from "./output.ts";

interface Key {
  readonly id: string;
  /** minisign's public key file. */
  readonly text: string;
  readonly signs: boolean;
}

/** Adds `keys list` and `keys describe`: who signs images, and who may have; and `keys node`. */
export function addKeys(program: Command, open: OpenSession): void {
  const keys = addNoun<Key>(program, open, {
    name: "keys",
    summary: "by which images are signed",
    columns: [
      ["ID", ({ id }) => id],
      ["SIGNS", ({ signs }) => (signs ? "yes" : "no")],
    ],
    describe: ({ text }, { output }) => output.print(text.trimEnd()),
    example: "1A2B3C4D5E6F7A8B",
  });
  const node = keys
    .command("node")
    .description("print the ssh key that nodes have to let in, for configuration sessions");
  node.addHelpText("after", "\nExample:\n  netkiln keys node >>files/root/.ssh/authorized_keys");
  node.action(async () => {
    const { client, output } = open(node);
    const key = await client.get<{ publicKey: string }>("/node-key");
    if (output.json) printJson(output, key);
    else output.print(key.publicKey);
  });
}

import type { Command } from "commander";
import type { OpenSession } from "./command.ts";
import { printJson } from "./output.ts";

/** Adds `NOUN undelete ID...`. */
export function addUndelete<Item extends { readonly id: string; readonly name: string }>(
  noun: Command,
  open: OpenSession,
  what: string,
): void {
  const undelete = noun.command("undelete <ids...>").description(`bring deleted ${what}s back as they were`);
  const example = "8110388c-4180-4655-9003-6b384e70bcc5";
  undelete.addHelpText("after", `\nExample:\n  netkiln ${what}s undelete ${example}`);
  undelete.action(async (ids: string[]) => {
    const { client, output } = open(undelete);
    const items: Item[] = [];
    for (const id of ids) {
      const item = await client.send<Item>("POST", `/${what}s/${encodeURIComponent(id)}/undelete`);
      items.push(item);
      if (!output.json) output.print(`${what} ${item.name} (${item.id}) is back`);
    }
    if (output.json) printJson(output, items);
  });
}

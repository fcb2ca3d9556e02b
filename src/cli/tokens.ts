import type { Command } from "commander";
import type { Token } from "../access/index.ts";
import { addNoun, type OpenSession } from "./command.ts";
import { printFields, printJson } from "./output.ts";

export function addTokens(program: Command, open: OpenSession): void {
  const tokens = addNoun<Token>(program, open, {
    name: "tokens",
    summary: "what lets callers in over TCP",
    columns: [
      ["NAME", ({ name }) => name],
      ["CREATED", ({ created }) => created],
      ["EXPIRES", ({ expires }) => expires],
      ["ROLE", ({ role }) => role],
      ["TENANT", ({ tenant }) => tenant ?? ""],
    ],
    example: "ci",
    deletable: true,
  });
  const create = tokens.command("create <name>").description("make a token and print it: it is not shown again");
  create
    .option("--days <count>", "how long it is good for", "90")
    .option("--role <role>", "what it may do: admin, operator or reader", "admin")
    .option("--tenant <name>", "its bearer sees and changes only what is this tenant's");
  create.addHelpText("after", "\nExample:\n  netkiln tokens create ci --days 30 --role operator");
  create.action(async (name: string, { days, role, tenant }: { days: string; role: string; tenant?: string }) => {
    const { client, output } = open(create);
    const token = await client.send<Token & { secret: string }>("POST", "/tokens", {
      name,
      days: Number(days),
      role,
      tenant,
    });
    if (output.json) return printJson(output, token);
    printFields(output, [
      ["token", token.secret],
      ["expires", token.expires],
    ]);
  });
}

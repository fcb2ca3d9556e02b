import type { Command } from "commander";
import type { OpenSession } from "./command.ts";
import { printJson } from "./output.ts";
import { readSecret, secretFileOption } from "./secret.ts";

/** Adds `login`: a token for an account, for NETKILN_TOKEN and for other clients. */
export function addLogin(program: Command, open: OpenSession): void {
  const login = program.command("login <name>").description("print a token for an account; its password is asked for");
  login.option(...secretFileOption);
  login.addHelpText("after", "\nExample:\n  export NETKILN_TOKEN=$(netkiln login alice)");
  login.action(async (name: string, { passwordFile }: { passwordFile?: string }) => {
    const { client, output } = open(login);
    const answer = await client.login(name, await readSecret(passwordFile, [`Password of ${name}: `]));
    if (output.json) printJson(output, answer);
    else output.print(answer.access_token);
  });
}

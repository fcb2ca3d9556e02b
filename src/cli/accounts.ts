import type { Command } from "commander";
import type { Account, Tenant } from "../access/index.ts";
import { addNoun, type OpenSession } from "./command.ts";
import { printFields, printJson } from "./output.ts";
import { readSecret, secretFileOption } from "./secret.ts";

type WithSecret = { readonly secret?: string };

const newPassword = ["New password: ", "Once more: "];

export function addAccounts(program: Command, open: OpenSession): void {
  const accounts = addNoun<Account>(program, open, {
    name: "accounts",
    summary: "people and services that log in",
    columns: [
      ["NAME", ({ name }) => name],
      ["KIND", ({ kind }) => kind],
      ["ROLE", ({ role }) => role],
      ["TENANT", ({ tenant }) => tenant ?? ""],
      ["CREATED", ({ created }) => created],
    ],
    describe: ({ name, kind, role, tenant, created }, { output }) =>
      printFields(output, [
        ["name", name],
        ["kind", kind],
        ["role", role],
        ["tenant", tenant],
        ["created", created],
      ]),
    example: "alice",
    deletable: true,
  });
  addCreate(accounts, open);
  addSetRole(accounts, open);
  const passwd = accounts.command("passwd <name>").description("give another password, which ends its tokens");
  passwd.option(...secretFileOption).option("--make", "make a secret and print it, for a service");
  passwd.addHelpText("after", "\nExample:\n  netkiln accounts passwd alice");
  passwd.action(async (name: string, { passwordFile, make }: { passwordFile?: string; make?: boolean }) => {
    const { client, output } = open(passwd);
    const password = make === true ? undefined : await readSecret(passwordFile, newPassword);
    const path = `/accounts/${encodeURIComponent(name)}/password`;
    const { secret } = await client.send<WithSecret>("PUT", path, { password });
    if (output.json) printJson(output, { name, secret });
    else output.print(secret ?? `${name} has another password, and has to log in again`);
  });
}

function addSetRole(accounts: Command, open: OpenSession): void {
  const setRole = accounts.command("set-role <name> <role>");
  setRole.description("give another role (admin, operator or reader), which its tokens have at once");
  setRole.addHelpText("after", "\nExample:\n  netkiln accounts set-role alice reader");
  setRole.action(async (name: string, role: string) => {
    const { client, output } = open(setRole);
    const account = await client.send<Account>("PUT", `/accounts/${encodeURIComponent(name)}/role`, { role });
    if (output.json) printJson(output, account);
    else output.print(`account ${account.name} has the role ${account.role}`);
  });
}

interface CreateOptions {
  readonly role: string;
  readonly service?: boolean;
  readonly tenant?: string;
  readonly passwordFile?: string;
}

function addCreate(accounts: Command, open: OpenSession): void {
  const create = accounts.command("create <name>").description("make an account; the password is asked for");
  create
    .option("--role <role>", "what it may do: admin, operator or reader", "reader")
    .option("--service", "of a program: the name is its client id, and a secret is made and printed")
    .option("--tenant <name>", "it sees and changes only what is this tenant's")
    .option(...secretFileOption);
  create.addHelpText(
    "after",
    "\nExample:\n  netkiln accounts create alice --role operator\n  netkiln accounts create admin-client --role admin --service",
  );
  create.action(async (name: string, { role, service, tenant, passwordFile }: CreateOptions) => {
    const { client, output } = open(create);
    const isMade = service === true && passwordFile === undefined;
    const account = await client.send<Account & WithSecret>("POST", "/accounts", {
      ...{ name, role, tenant, kind: service === true ? "service" : "person" },
      password: isMade ? undefined : await readSecret(passwordFile, newPassword),
    });
    if (output.json) return printJson(output, account);
    output.print(`account ${account.name} has the role ${account.role}`);
    // It is not shown again.
    if (account.secret !== undefined) printFields(output, [["secret", account.secret]]);
  });
}

export function addTenants(program: Command, open: OpenSession): void {
  const tenants = addNoun<Tenant>(program, open, {
    name: "tenants",
    summary: "for whom requests may be (Cray-Tenant-Name)",
    columns: [
      ["NAME", ({ name }) => name],
      ["DESCRIPTION", ({ description }) => description],
      ["CREATED", ({ created }) => created],
    ],
    example: "blue",
    deletable: true,
  });
  const create = tenants.command("create <name>").description("make a tenant");
  create.option("--description <text>", "who it is");
  create.addHelpText("after", "\nExample:\n  netkiln tenants create blue --description 'the chemists'");
  create.action(async (name: string, { description }: { description?: string }) => {
    const { client, output } = open(create);
    const tenant = await client.send<Tenant>("POST", "/tenants", { name, description });
    if (output.json) printJson(output, tenant);
    else output.print(`tenant ${tenant.name} is there`);
  });
}

import { readFileSync } from "node:fs";
import { InvalidArgumentError, type Command } from "commander";
import { NetkilnError } from "../lib/errors.ts";
import { openClient, type Client, type FindServer } from "./client.ts";
import { openOutput, printJson, printTable, type Output } from "./output.ts";

/** What every command gets: the server it talks to and where it prints. */
export interface Session {
  readonly client: Client;
  readonly output: Output;
}

export interface GlobalOptions {
  readonly server?: string;
  readonly data?: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly color?: boolean;
  readonly cacert?: string;
}

export interface Defaults {
  readonly server: FindServer;
  readonly token: string | undefined;
  readonly color: boolean;
  /** File with the certificates that the server's has to come from. */
  readonly cacert: string | undefined;
}

/** Reads the options that stand before the noun, or anywhere after it. */
export type OpenSession = (command: Command) => Session;

export function sessionOpener(defaults: (options: GlobalOptions) => Defaults): OpenSession {
  return (command) => {
    const options = command.optsWithGlobals<GlobalOptions>();
    const { server, token, color, cacert } = defaults(options);
    const ca = cacert === undefined ? undefined : readAuthority(cacert);
    return { client: openClient(server, token, ca), output: openOutput(options.json === true, color) };
  };
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new NetkilnError("invalid_input", `${file} cannot be read`);
  }
}

export interface Noun<Item> {
  /** In the plural, as in the API. */
  readonly name: string;
  readonly summary: string;
  readonly columns: readonly (readonly [title: string, value: (item: Item) => string])[];
  /** How one object is shown to people; without it there is nothing more to show than the list does. */
  describe?(item: Item, session: Session): void;
  /** A name for the help's examples. */
  readonly example: string;
  /** Whether objects can be deleted by hand. */
  readonly deletable?: boolean;
  readonly filters?: readonly (readonly [option: string, description: string])[];
}

/** Adds `NOUN list`, `NOUN describe NAME` and, where it makes sense, `NOUN delete NAME...`. */
export function addNoun<Item>(program: Command, open: OpenSession, noun: Noun<Item>): Command {
  const command = program.command(noun.name).description(noun.summary);
  const list = command
    .command("list")
    .description(`list ${noun.name}`)
    .option("--limit <count>", "show no more than this many", parseCount);
  for (const [option, description] of noun.filters ?? []) list.option(option, description);
  list.addHelpText("after", `\nExample:\n  netkiln ${noun.name} list --limit 20`);
  list.action(async (options: { limit?: number } & Record<string, string>) => {
    const { client, output } = open(list);
    const { limit, ...query } = options;
    const items: Item[] = [];
    for await (const item of client.all<Item>(`/${noun.name}`, query)) {
      items.push(item);
      if (items.length === limit) break;
    }
    if (output.json) printJson(output, items);
    else
      printTable(
        output,
        noun.columns.map(([title]) => title),
        items.map((item) => noun.columns.map(([, value]) => value(item))),
      );
  });

  if (noun.describe !== undefined) addDescribe(command, open, noun, noun.describe);
  if (noun.deletable === true) {
    const remove = command.command("delete <names...>").description(`delete ${noun.name}`);
    remove.addHelpText("after", `\nExample:\n  netkiln ${noun.name} delete ${noun.example}`);
    remove.action(async (names: string[]) => {
      const { client, output } = open(remove);
      for (const name of names) {
        await client.send("DELETE", `/${noun.name}/${encodeURIComponent(name)}`);
        if (!output.json) output.print(`deleted ${name}`);
      }
    });
  }
  return command;
}

function addDescribe<Item>(
  command: Command,
  open: OpenSession,
  { name: noun, example }: Noun<Item>,
  show: NonNullable<Noun<Item>["describe"]>,
): void {
  const describe = command.command("describe <name>").description(`show one of the ${noun}`);
  describe.addHelpText("after", `\nExample:\n  netkiln ${noun} describe ${example}`);
  describe.action(async (name: string) => {
    const session = open(describe);
    const item = await session.client.get<Item>(`/${noun}/${encodeURIComponent(name)}`);
    if (session.output.json) printJson(session.output, item);
    else show(item, session);
  });
}

/** For an option that can be repeated; commander's own form of it would swallow the arguments that follow. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** For an option that is a count. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("must be a whole number from 1 on");
  return count;
}

/** "3 min ago", from an ISO time. */
export function ago(time: string, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

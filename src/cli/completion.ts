import type { Command } from "commander";
import type { OpenSession } from "./command.ts";

const bash = `# netkiln completion for bash; zsh reads it after: autoload -U +X bashcompinit && bashcompinit
_netkiln() {
  local IFS=$'\\n'
  COMPREPLY=($(netkiln complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _netkiln netkiln
`;

const namedNouns = [
  "recipes",
  "images",
  "channels",
  "configurations",
  "builds",
  "nodes",
  "products",
  "groups",
  "templates",
  "sessions",
  "tokens",
  "accounts",
  "tenants",
];

export function addCompletion(program: Command, open: OpenSession): void {
  const completion = program.command("completion").description("print a completion script for bash or zsh");
  completion.addHelpText("after", "\nExample:\n  netkiln completion > /etc/bash_completion.d/netkiln");
  completion.action(() => void process.stdout.write(bash));

  const complete = program.command("complete [words...]", { hidden: true });
  complete.action(async (words: string[]) => {
    const found = [...staticWords(program, words), ...(await names(words, open, complete))];
    const typed = words.at(-1) ?? "";
    for (const word of found.filter((candidate) => candidate.startsWith(typed))) process.stdout.write(`${word}\n`);
  });
}

/** Commands and options that can stand where the last of the words is being typed. */
function staticWords(program: Command, words: readonly string[]): string[] {
  let command = program;
  for (const word of words.slice(0, -1)) command = command.commands.find((inner) => inner.name() === word) ?? command;
  const options = [...command.options, ...program.options].flatMap(({ long }) =>
    long === undefined || long === null ? [] : [long],
  );
  const inner = command.commands.map((each) => each.name()).filter((name) => name !== "complete");
  return words.at(-1)?.startsWith("-") === true ? options : inner;
}

/** Names of objects, where a noun's verb takes one; none when the server cannot be asked. */
async function names(words: readonly string[], open: OpenSession, command: Command): Promise<string[]> {
  const [noun = "", verb] = words;
  if (!namedNouns.includes(noun) || words.length < 3 || verb === "list" || verb === "create") return [];
  const { client } = open(command);
  const answer = await client.get<{ items: Named[] }>(`/${noun}`, { limit: 200 }).catch(() => ({ items: [] }));
  return [...new Set(answer.items.map(nameOf))];
}

interface Named {
  readonly name?: string;
  readonly alias?: string;
  readonly label?: string;
  readonly image?: string;
  readonly version?: string;
}

function nameOf({ name, alias, label, image, version }: Named): string {
  const known = alias ?? name ?? label ?? image ?? "";
  return version === undefined ? known : `${known}:${version}`;
}

import type { Command } from "commander";
import type { BootEntry } from "../boot/index.ts";
import type { Group, Node } from "../node/index.ts";
import type { Boot } from "../telemetry/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { addNoun, collect, type OpenSession } from "./command.ts";
import { printFields, printJson, printTable } from "./output.ts";
import { readYamlFile } from "./yaml-file.ts";

export function addNodes(program: Command, open: OpenSession): void {
  const nodes = addNoun<Node>(program, open, {
    name: "nodes",
    summary: "the machines",
    columns: [
      ["NAME", ({ alias }) => alias],
      ["XNAME", ({ xname }) => xname],
      ["ROLE", ({ role }) => role],
      ["GROUPS", ({ groups }) => groups.join(",")],
      ["STATE", ({ state, locked }) => (locked ? `${state} (locked)` : state)],
      ["MAC", ({ interfaces }) => interfaces[0]?.mac ?? ""],
    ],
    describe: (node, { output }) => {
      printFields(output, [
        ["name", node.alias],
        ["xname", node.xname],
        ["nid", String(node.nid)],
        ["role", node.role],
        ["groups", node.groups.join(", ")],
        ["arch", node.arch],
        ["state", node.state],
        ["locked", node.locked ? "yes" : "no"],
        ["interfaces", node.interfaces.map(({ mac, ip }) => `${mac}${ip === undefined ? "" : ` ${ip}`}`).join(", ")],
        ["power", node.power.driver],
      ]);
    },
    example: "nid000001",
    deletable: true,
    filters: [
      ["--role <role>", "only nodes with this role"],
      ["--group <group>", "only nodes of this group"],
      ["--state <state>", "only nodes in this state"],
    ],
  });
  addAdd(nodes, open);
  addBoots(nodes, open);
  addBootParameters(nodes, open);
  addActions(nodes, open);
}

function addAdd(nodes: Command, open: OpenSession): void {
  const add = nodes.command("add [xname]").description("add a node, or all nodes of a YAML file (a list of nodes)");
  add
    .option("--nid <number>", "its number")
    .option("--mac <address>", "of the interface that it boots from")
    .option("--role <role>", "its role", "Compute")
    .option("--group <group>", "a group that it belongs to; can be repeated", collect)
    .option("--kernel-parameters <text>", "parameters that only this node needs")
    .option("--power <driver>", "how its power is switched: virtual or simulated", "simulated")
    .option("--memory <mib>", "memory of a virtual node")
    .option("-f, --file <file>", "YAML file with a list of nodes");
  add.addHelpText(
    "after",
    "\nExample:\n  netkiln nodes add x1000c0s0b0n0 --nid 1 --mac 52:54:00:00:00:01 --power virtual",
  );
  add.action(async (xname: string | undefined, options: AddOptions & { file?: string }) => {
    const { client, output } = open(add);
    const inputs = options.file === undefined ? [nodeFrom(xname, options)] : await nodesOf(options.file);
    const added: Node[] = [];
    for (const input of inputs) added.push(await client.send<Node>("POST", "/nodes", input));
    if (output.json) printJson(output, added);
    else for (const node of added) output.print(`added ${node.alias} (${node.xname})`);
  });
}

interface AddOptions {
  readonly nid?: string;
  readonly mac?: string;
  readonly role: string;
  readonly group?: readonly string[];
  readonly kernelParameters?: string;
  readonly power: string;
  readonly memory?: string;
}

function nodeFrom(xname: string | undefined, options: AddOptions): unknown {
  if (xname === undefined || options.nid === undefined) {
    throw new NetkilnError("invalid_input", "a node needs its xname and --nid", {
      hint: "netkiln nodes add x1000c0s0b0n0 --nid 1 --mac 52:54:00:00:00:01, or --file nodes.yaml",
    });
  }
  return {
    xname,
    nid: Number(options.nid),
    role: options.role,
    groups: options.group ?? [],
    ...(options.kernelParameters !== undefined && { kernelParameters: options.kernelParameters }),
    interfaces: options.mac === undefined ? [] : [{ mac: options.mac }],
    power: { driver: options.power, options: options.memory === undefined ? {} : { memory: Number(options.memory) } },
  };
}

async function nodesOf(file: string): Promise<readonly unknown[]> {
  const value = await readYamlFile(file);
  if (!Array.isArray(value)) throw new NetkilnError("invalid_input", `${file} must hold a list of nodes`);
  return value;
}

function addBoots(nodes: Command, open: OpenSession): void {
  const boots = nodes.command("boots <name>").description("show how a node booted: the newest boot's timeline");
  boots.option("--limit <count>", "how many boots to show", "1");
  boots.addHelpText("after", "\nExample:\n  netkiln nodes boots nid000001");
  boots.action(async (name: string, { limit }: { limit: string }) => {
    const { client, output } = open(boots);
    const node = await client.get<Node>(`/nodes/${encodeURIComponent(name)}`);
    const { items } = await client.get<{ items: Boot[] }>("/boots", { node: node.xname, limit });
    if (output.json) return printJson(output, items);
    if (items.length === 0) output.print(`${node.alias} has not booted yet`);
    for (const boot of items) {
      output.print(
        `${node.alias} (${node.xname}), boot ${boot.id.slice(-8)} of ${boot.started}, image ${boot.imageId ?? "unknown"}`,
      );
      printTable(output, ["AFTER", "PHASE", "SEEN BY", "DETAIL"], timelineOf(boot));
      // A table cuts what is long, and this is what one came for.
      const reason = boot.phases.find(({ phase }) => phase === "failed")?.detail["message"];
      if (reason !== undefined) output.print(`failed: ${String(reason)}`);
    }
  });
}

/** Seconds since the boot began, what happened, who noticed, and what was said of it. */
export function timelineOf(boot: Boot): string[][] {
  const begun = Date.parse(boot.started);
  return boot.phases.map(({ phase, time, source, detail }) => [
    `${((Date.parse(time) - begun) / 1000).toFixed(1).padStart(6)} s`,
    phase,
    source,
    Object.entries(detail)
      .filter(([, value]) => value !== "" && value !== null)
      .map(([key, value]) => `${key} ${String(value)}`)
      .join(", "),
  ]);
}

function addBootParameters(nodes: Command, open: OpenSession): void {
  const command = nodes.command("boot-parameters <name>").description("show what a node would boot now, and why");
  command.addHelpText("after", "\nExample:\n  netkiln nodes boot-parameters nid000001");
  command.action(async (name: string) => {
    const { client, output } = open(command);
    const found = await client.get<{ entry: BootEntry | null; because: string }>(
      `/nodes/${encodeURIComponent(name)}/boot-parameters`,
    );
    if (output.json) return printJson(output, found);
    output.print(found.because);
    if (found.entry === null) return;
    printFields(output, [
      ["kernel", found.entry.kernel],
      ["initrd", found.entry.initrd],
      ["params", found.entry.params],
    ]);
  });
}

function addActions(nodes: Command, open: OpenSession): void {
  for (const [verb, summary] of [
    ["lock", "keep a node out of sessions and its power untouched"],
    ["unlock", "undo a lock"],
  ] as const) {
    const command = nodes.command(`${verb} <names...>`).description(summary);
    command.addHelpText("after", `\nExample:\n  netkiln nodes ${verb} nid000001`);
    command.action(async (names: string[]) => {
      const { client, output } = open(command);
      for (const name of names) {
        const node = await client.send<Node>("POST", `/nodes/${encodeURIComponent(name)}/${verb}`);
        if (output.json) printJson(output, node);
        else output.print(`${verb}ed ${node.alias}`);
      }
    });
  }
  const power = nodes
    .command("power <name> [operation]")
    .description("show a node's power, or switch it: on, soft-off, force-off")
    .option("--deputy-key <key>", "of the reservation under which it is switched");
  power.addHelpText("after", "\nExample:\n  netkiln nodes power nid000001 soft-off");
  power.action(async (name: string, operation: string | undefined, { deputyKey }: { deputyKey?: string }) => {
    const { client, output } = open(power);
    const path = `/nodes/${encodeURIComponent(name)}/power`;
    const answer =
      operation === undefined
        ? await client.get<{ state: string }>(path)
        : await client.send<{ state: string }>("POST", path, {
            operation,
            ...(deputyKey !== undefined && { deputyKey }),
          });
    if (output.json) printJson(output, answer);
    else output.print(`${name} is ${answer.state}`);
  });
  const dhcp = nodes.command("dhcp-config").description("print a dnsmasq configuration that lets the nodes boot");
  dhcp
    .option("--door <host:port>", "the node door as nodes reach it")
    .option("--range <range>", "dhcp-range of dnsmasq");
  dhcp.addHelpText(
    "after",
    "\nExample:\n  netkiln nodes dhcp-config --door 10.1.0.1:8077 > /etc/dnsmasq.d/netkiln.conf",
  );
  dhcp.action(async (options: { door?: string; range?: string }) => {
    const { client } = open(dhcp);
    process.stdout.write((await client.raw("/nodes/dhcp-config", options)).body);
  });
}

export function addGroups(program: Command, open: OpenSession): void {
  const groups = addNoun<Group>(program, open, {
    name: "groups",
    summary: "sets of nodes with a name",
    columns: [
      ["NAME", ({ label }) => label],
      ["MEMBERS", ({ members }) => String(members.length)],
      ["DESCRIPTION", ({ description }) => description],
    ],
    describe: ({ label, description, members }, { output }) =>
      printFields(output, [
        ["name", label],
        ["description", description],
        ["members", members.join(" ")],
      ]),
    example: "gpu",
    deletable: true,
  });
  const set = groups.command("set <name> [xnames...]").description("make a group, or give it other members");
  set.option("--description <text>", "what it is for");
  set.addHelpText("after", "\nExample:\n  netkiln groups set gpu x1000c0s0b0n0 x1000c0s1b0n0");
  set.action(async (name: string, members: string[], { description }: { description?: string }) => {
    const { client, output } = open(set);
    const group = await client.send<Group>("PUT", `/groups/${encodeURIComponent(name)}`, {
      members,
      ...(description !== undefined && { description }),
    });
    if (output.json) printJson(output, group);
    else output.print(`group ${group.label} has ${group.members.length} members`);
  });
}

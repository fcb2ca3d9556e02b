import type { Command } from "commander";
import type { Channel, ChannelMove } from "../image/index.ts";
import { clock } from "../lib/clock.ts";
import { addNoun, ago, parseCount, type OpenSession } from "./command.ts";
import { printFields, printJson, printTable } from "./output.ts";

/** How the options of a move stand in its request: `--expect none` means a channel that is not there yet. */
export function moveRequest({ comment, expect }: { comment?: string; expect?: string }): Record<string, unknown> {
  return {
    ...(comment !== undefined && { comment }),
    ...(expect !== undefined && { expected: expect === "none" ? null : expect }),
  };
}

export function addChannels(program: Command, open: OpenSession): void {
  const channels = addNoun<Channel>(program, open, {
    name: "channels",
    summary: "names that are moved from image to image, such as compute:stable",
    columns: [
      ["CHANNEL", ({ name }) => name],
      ["IMAGE", ({ imageName }) => imageName],
      ["ID", ({ image }) => image],
      ["MOVED", ({ moved }) => ago(moved, clock.now())],
      ["BY", ({ by }) => by],
    ],
    describe: (channel, { output }) =>
      printFields(output, [
        ["channel", channel.name],
        ["image", channel.imageName],
        ["id", channel.image],
        ["moved", channel.moved],
        ["by", channel.by],
        ["comment", channel.comment],
      ]),
    example: "compute:stable",
    deletable: true,
  });

  const history = channels.command("history <channel>").description("show where a channel pointed, newest first");
  history.option("--limit <count>", "show no more than this many", parseCount);
  history.addHelpText("after", "\nExample:\n  netkiln channels history compute:stable");
  history.action(async (name: string, { limit }: { limit?: number }) => {
    const { client, output } = open(history);
    const moves: ChannelMove[] = [];
    for await (const move of client.all<ChannelMove>(`/channels/${encodeURIComponent(name)}/history`)) {
      moves.push(move);
      if (moves.length === limit) break;
    }
    if (output.json) return printJson(output, moves);
    const rows = moves.map(({ time, by, kind, undone, from, to, comment }) => [
      time,
      by,
      undone ? `${kind}, undone` : kind,
      from?.slice(0, 8) ?? "-",
      to?.slice(0, 8) ?? "-",
      comment ?? "",
    ]);
    printTable(output, ["TIME", "BY", "WHAT", "FROM", "TO", "COMMENT"], rows);
  });

  const undo = channels
    .command("undo <channel>")
    .description("move a channel back to where it was before its last move; again: one move further back");
  undo
    .option("-m, --comment <text>", "why, for the channel's history")
    .option("--expect <image>", "only when the channel points at this one now");
  undo.addHelpText("after", "\nExample:\n  netkiln channels undo compute:stable");
  undo.action(async (name: string, options: { comment?: string; expect?: string }) => {
    const { client, output } = open(undo);
    const path = `/channels/${encodeURIComponent(name)}/undo`;
    const channel = await client.send<Channel & { from: string | null }>("POST", path, moveRequest(options));
    if (output.json) return printJson(output, channel);
    output.print(`${channel.name} points at ${channel.imageName} (${channel.image}) again`);
    if (channel.from !== null) output.print(`netkiln images promote ${channel.from} ${name} takes that back`);
  });
}

import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Build } from "../build/index.ts";
import { clock } from "../lib/clock.ts";
import { fromErrorRecord } from "../lib/errors.ts";
import { addBuildRequests } from "./build-requests.ts";
import { addNoun, ago, type OpenSession } from "./command.ts";
import { formatSeconds, printFields, printTable } from "./output.ts";

export function addBuilds(program: Command, open: OpenSession): void {
  const builds = addNoun<Build>(program, open, {
    name: "builds",
    summary: "how images were made",
    columns: [
      ["ID", ({ id }) => id.slice(0, 8)],
      ["IMAGE", ({ image }) => image],
      ["STATUS", ({ status }) => status],
      ["STEPS", ({ steps }) => `${steps.filter(({ state }) => state === "cached").length} of ${steps.length} cached`],
      ["TOOK", (build) => took(build)],
      ["CREATED", ({ created }) => ago(created, clock.now())],
    ],
    describe: (build, { output }) => {
      printFields(output, [
        ["build", build.id],
        ["image", build.image],
        ["status", build.status],
        ["created", build.created],
        ["took", took(build)],
        ["image id", build.imageId],
        ["error", build.error?.message],
      ]);
      output.print("");
      printTable(
        output,
        ["STEP", "STATE", "TOOK", "WHY"],
        build.steps.map(({ title, state, seconds, why }) => [
          title,
          state,
          seconds === undefined ? "" : formatSeconds(seconds),
          state === "cached" ? "" : (why ?? []).join("; "),
        ]),
      );
    },
    example: "compute-1.0.0",
    filters: [["--image <name>", "only builds of this image"]],
  });

  addBuildRequests(builds, open);

  const logs = builds
    .command("logs <build>")
    .description("print what a build said: its id, or its image for the newest");
  logs.option("-f, --follow", "go on until the build has ended");
  logs.addHelpText("after", "\nExample:\n  netkiln builds logs -f compute-1.0.0");
  logs.action(async (name: string, { follow }: { follow?: boolean }) => {
    const { client } = open(logs);
    const { id } = await client.get<Build>(`/builds/${encodeURIComponent(name)}`);
    let offset = 0;
    for (;;) {
      const { body, headers } = await client.raw(`/builds/${id}/log`, { offset, wait: follow === true ? 20 : 0 });
      process.stdout.write(body);
      offset += body.length;
      const running = headers["x-build-status"] === "running" || headers["x-build-status"] === "pending";
      if (body.length === 0 && (follow !== true || !running)) break;
    }
    const { error } = await client.get<Build>(`/builds/${id}`);
    if (follow === true && error !== undefined) throw fromErrorRecord(error);
  });

  const verdict = builds.command("verdict <build>").description("print the gate's verdict on a build");
  verdict.option("--junit", "as JUnit XML instead of JSON").option("-o, --output <file>", "write it to a file");
  verdict.addHelpText("after", "\nExample:\n  netkiln builds verdict --junit -o verdict.xml compute-1.0.0");
  verdict.action(async (name: string, options: { junit?: boolean; output?: string }) => {
    const { client } = open(verdict);
    const file = options.junit === true ? "verdict.xml" : "verdict.json";
    const { body } = await client.raw(`/builds/${encodeURIComponent(name)}/${file}`);
    if (options.output === undefined) process.stdout.write(body);
    else await writeFile(options.output, body);
  });
}

function took({ started, finished }: Build): string {
  if (started === undefined) return "";
  const end = finished === undefined ? clock.now().getTime() : Date.parse(finished);
  return formatSeconds((end - Date.parse(started)) / 1000);
}

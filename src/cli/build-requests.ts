import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import type { Build, Comparison, Planned } from "../build/index.ts";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { collect, type OpenSession, type Session } from "./command.ts";
import { formatSeconds, paint, printJson, printTable, type Output } from "./output.ts";
import { followBuild } from "./run-progress.ts";

interface WantedOptions {
  readonly recipe?: string;
  readonly image?: string;
  readonly configuration?: string;
  readonly group?: readonly string[];
  readonly output?: readonly string[];
  readonly extraVars?: Readonly<Record<string, unknown>>;
  readonly secret?: readonly string[];
  readonly ansiblePassthrough?: string;
  readonly follow?: boolean;
}

type Steps = readonly Pick<Planned, "title" | "state" | "why" | "expectedSeconds">[];

/** Adds `builds start`, `builds plan` and `builds why`. */
export function addBuildRequests(builds: Command, open: OpenSession): void {
  const start = builds.command("start <image>").description("build an image from a recipe or from another image");
  addWantedOptions(start).option("-f, --follow", "go on until the build has ended");
  start.addHelpText(
    "after",
    "\nWithout --recipe and --image it is built from what it was built from before, as that is now.\n\nExample:\n  netkiln builds start compute-1.1.0 --recipe compute-debian12 --configuration compute-1.1.0 --group Compute --output squashfs --output oci",
  );
  start.action(async (name: string, options: WantedOptions) => {
    const session = open(start);
    const { client, output } = session;
    const answer = await client.send<{ build?: Build; image?: Image }>("POST", "/builds", requestOf(name, options));
    if (answer.build === undefined) {
      if (output.json) return printJson(output, answer.image);
      return output.print(`image ${name}: unchanged (${answer.image?.id})`);
    }
    if (options.follow !== true) return printStarted(answer.build, output);
    await followBuild(answer.build, session);
  });

  const plan = builds.command("plan <image>").description("say what a build would do, and how long it took before");
  addWantedOptions(plan);
  plan.addHelpText("after", "\nExample:\n  netkiln builds plan compute-1.0.0");
  plan.action(async (name: string, options: WantedOptions) => {
    const { client, output } = open(plan);
    const answer = await client.send<{ steps: Steps }>("POST", "/builds/plan", requestOf(name, options));
    if (output.json) printJson(output, answer);
    else printSteps(answer.steps, output);
  });

  const why = builds
    .command("why <build>")
    .description("say why a build's steps ran: its id, or its image for the newest");
  why.addHelpText("after", "\nExample:\n  netkiln builds why compute-1.0.0");
  why.action(async (name: string) => {
    const { client, output } = open(why);
    const build = await client.get<Build>(`/builds/${encodeURIComponent(name)}`);
    const ran = build.steps.filter(({ state }) => state !== "cached" && state !== "waiting");
    if (output.json) return printJson(output, ran);
    if (ran.length === 0) return output.print("every step was cached");
    for (const { title, state, why: reasons } of ran) {
      output.print(`${paint(output, "bold", title)}: ${state}`);
      for (const reason of reasons ?? []) output.print(`  ${reason}`);
    }
  });
}

export function printStarted({ id, image }: Pick<Build, "id" | "image">, output: Output): void {
  if (output.json) return printJson(output, { build: id });
  output.print(`${image}: build ${id.slice(0, 8)}\nnetkiln builds logs -f ${id.slice(0, 8)} follows it`);
}

function addWantedOptions(command: Command): Command {
  return command
    .option("--recipe <name>", "the recipe that it is made from")
    .option("--image <image>", "the image that it is made from: a name, an id or a channel")
    .option("--configuration <name>", "the configuration that is applied")
    .option("--group <group>", "an Ansible group that it belongs to (may be repeated)", collect)
    .option("--output <format>", "squashfs, erofs, cpio.gz, cpio.zst, verity or oci (may be repeated)", collect)
    .option("--extra-vars <json>", "variables for the configuration's playbooks, as a JSON object", parseObject)
    .option(
      "--secret <name=reference>",
      "a secret for them: NAME=file:/path on the build host (may be repeated)",
      collect,
    )
    .option("--ansible-passthrough <arguments>", "further arguments for ansible-playbook");
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, like every other text that is no object.
  }
  throw new InvalidArgumentError('must be a JSON object, such as {"site": "a"}');
}

function requestOf(name: string, options: WantedOptions): Record<string, unknown> {
  const { recipe, image, configuration, group, output, extraVars, secret, ansiblePassthrough } = options;
  return {
    name,
    ...{ recipe, image, configuration, groups: group, outputs: output },
    ...{ extra_vars: extraVars, ansible_passthrough: ansiblePassthrough },
    ...(secret !== undefined && { secrets: Object.fromEntries(secret.map(splitSecret)) }),
  };
}

function splitSecret(text: string): [name: string, reference: string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new NetkilnError("invalid_input", "a secret is given as NAME=file:/path on the build host");
}

/** `depends`: it runs if the steps above leave another tree. */
const stateWords = { cached: "cached ", run: "run    ", open: "depends" } as const;

/** The steps of a plan, why they run, and how long they took the last time. */
export function printSteps(steps: Steps, output: Output): void {
  for (const { title, state, why, expectedSeconds } of steps) {
    const took =
      expectedSeconds === undefined ? "" : paint(output, "dim", `  (${formatSeconds(expectedSeconds)} last time)`);
    const line = `  ${stateWords[state]} ${title}`;
    output.print(state === "cached" ? paint(output, "dim", line) : `${line}${took}`);
    for (const reason of why) output.print(paint(output, "yellow", `          ${reason}`));
  }
  const expected = steps.filter(({ state }) => state !== "cached").map(({ expectedSeconds }) => expectedSeconds ?? 0);
  const sum = expected.reduce((total, seconds) => total + seconds, 0);
  // Some of them run beside each other, so it is the most.
  if (sum > 0) output.print(`  at most ${formatSeconds(sum)}, by what the steps took the last time`);
}

/** Adds `images verify`. */
export function addVerify(images: Command, open: OpenSession): void {
  const verify = images
    .command("verify <image>")
    .description("build an image again from its locks and commits, and compare every file");
  verify.addHelpText(
    "after",
    "\nThe exit code is 1 when something differs.\n\nExample:\n  netkiln images verify compute-1.0.0",
  );
  verify.action(async (name: string) => {
    const session = open(verify);
    const { client, output } = session;
    const { build } = await client.send<{ build: Build }>("POST", `/images/${encodeURIComponent(name)}/verify`);
    const { result } = await followBuild(build, session);
    const comparison = result as Comparison;
    if (!output.json) printComparison(comparison, session);
    if (comparison.different.length > 0) {
      throw new NetkilnError(
        "work_failed",
        `${name} came out different in ${comparison.different.length} of ${comparison.different.length + comparison.same.length} parts`,
      );
    }
  });
}

function printComparison({ same, different, files, tools, manual = [] }: Comparison, { output }: Session): void {
  printTable(
    output,
    ["PART", "RESULT", "WAS", "IS"],
    [
      ...same.map((what) => [what, "identical", "", ""]),
      ...different.map(({ what, was, is }) => [
        what,
        paint(output, "red", "different"),
        was.slice(0, 12),
        is.slice(0, 12),
      ]),
    ],
  );
  for (const { layer, by, at } of manual) {
    output.print(`  layer ${layer.slice(0, 12)} was made by hand (${by}, ${at}): taken as it is, not made again`);
  }
  for (const file of files) output.print(`  ${file}`);
  for (const tool of tools) output.print(`  ${tool}`);
}

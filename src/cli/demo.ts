import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Run } from "../bootprep/index.ts";
import type { Build } from "../build/index.ts";
import type { Verdict } from "../compliance/index.ts";
import type { Image, Recipe } from "../image/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Node } from "../node/index.ts";
import type { Boot } from "../telemetry/index.ts";
import { runBootprep } from "./bootprep.ts";
import { readRequest } from "./bootprep-request.ts";
import { openClient, type Client } from "./client.ts";
import type { Session } from "./command.ts";
import { formatBytes, formatSeconds, openOutput, paint, printTable, type Output } from "./output.ts";
import { packFolder } from "./pack.ts";
import { createSession, waitForSession } from "./sessions.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));
const example = join(project, "examples/compute");
const xname = "x1000c0s0b0n0";

export function addDemo(program: Command): void {
  const demo = program
    .command("demo")
    .description("build the example image and boot a virtual node with it, on this machine");
  demo
    .option("--keep", "leave the server and the node running")
    .option("--fresh", "throw away what the last demo built");
  demo.addHelpText("after", "\nExample:\n  netkiln demo");
  demo.action(async ({ keep, fresh }: { keep?: boolean; fresh?: boolean }) => {
    const { data = join(project, ".demo"), json } = demo.optsWithGlobals<{ data?: string; json?: boolean }>();
    await runDemo(data, { keep: keep === true, fresh: fresh === true }, openOutput(json === true, true));
  });
}

async function runDemo(
  data: string,
  { keep, fresh }: { keep: boolean; fresh: boolean },
  output: Output,
): Promise<void> {
  if (fresh) await rm(data, { recursive: true, force: true });
  await mkdir(data, { recursive: true });
  const began = clock.now().getTime();
  say(output, `Starting a server on loopback; what it makes is kept in ${data}`);
  const { client, stop } = await startServer(data, keep);
  const session: Session = { client, output };
  try {
    say(output, "netkiln recipes import examples/compute/recipe");
    const recipe = await client.upload<Recipe & { changed: boolean }>(
      "/recipes",
      "application/x-tar",
      await packFolder(join(example, "recipe")),
    );
    output.print(`recipe ${recipe.name}: ${recipe.changed ? "imported" : "unchanged"}`);

    say(output, "netkiln bootprep run examples/compute/bootprep.yaml");
    const run = await runBootprep(await readRequest(join(example, "bootprep.yaml"), {}), session);
    const built = clock.now().getTime();

    await provideNode(client);
    const template = run.items.find(({ section }) => section === "session_template")?.name ?? "";
    say(output, `netkiln sessions create --template ${template} --limit nid000001 --wait`);
    const { name } = await createSession(
      { template, operation: "boot", limit: "nid000001", maxBootWait: "900" },
      session,
    );
    await waitForSession(name, session);
    await summarise(run, { began, built }, session);
  } finally {
    await stop();
  }
}

function say(output: Output, text: string): void {
  output.print(`\n${paint(output, "cyan", "==>")} ${paint(output, "bold", text)}`);
}

const startLimitMs = 30_000;

/** A server of our own with an own worker; it ends with us, unless it is to be kept. */
async function startServer(data: string, keep: boolean): Promise<{ client: Client; stop: () => Promise<void> }> {
  const client = openClient(`unix:${join(data, "netkiln.sock")}`, undefined);
  const argv = [join(project, "bin/netkiln"), "serve", "--data", data, "--node-door", "127.0.0.1:0"] as const;
  const log = join(data, "server.log");
  // Loaded only here: it would take every other command a quarter of its start.
  const { start } = await import("../lib/exec.ts");
  const server = start(argv, { logFile: log, dieWithParent: !keep });
  let ended = false;
  void server.ended.then(() => (ended = true));
  const deadline = clock.now().getTime() + startLimitMs;
  for (;;) {
    const answered = await client.get("/version").catch((error: unknown) => {
      if (error instanceof NetkilnError && error.code === "unreachable") return undefined;
      throw error;
    });
    if (answered !== undefined && !ended) break;
    if (ended || clock.now().getTime() > deadline) {
      throw new NetkilnError("unreachable", `the demo's server did not start; ${log} says why`, {
        hint: existsSync(join(data, "netkiln.sock")) ? "is another demo running?" : undefined,
      });
    }
    await clock.sleep(100);
  }
  const stop = async () => {
    if (keep) return;
    await client.send("POST", `/nodes/${xname}/power`, { operation: "force-off" }).catch(() => undefined);
    server.kill("SIGTERM");
    await server.ended;
  };
  return { client, stop };
}

/** The virtual node, off: a demo that was interrupted may have left it running. */
async function provideNode(client: Client): Promise<void> {
  await client.send<Node>("PUT", `/nodes/${xname}`, {
    nid: 1,
    interfaces: [{ mac: "52:54:00:00:00:01" }],
    power: { driver: "virtual", options: { memory: 2048 } },
    // QEMU's emulation can stall for a minute when every process has other addresses; real nodes do not need this.
    kernelParameters: "norandmaps",
  });
  const { state } = await client.get<{ state: string }>(`/nodes/${xname}/power`);
  if (state === "on") await client.send("POST", `/nodes/${xname}/power`, { operation: "force-off" });
}

async function summarise(
  run: Run,
  times: { began: number; built: number },
  { client, output }: Session,
): Promise<void> {
  const now = clock.now().getTime();
  const imageItem = run.items.findLast(({ section }) => section === "image");
  const image = await client.get<Image>(`/images/${imageItem?.image ?? ""}`);
  const verdict = await client.get<Verdict>(`/builds/${image.build}/verdict.json`);
  const { items } = await client.get<{ items: Boot[] }>("/boots", { node: xname, limit: 1 });

  say(output, "Where the time went");
  const rows: string[][] = [];
  for (const item of run.items.filter(({ build }) => build !== undefined)) {
    const { steps } = await client.get<Build>(`/builds/${item.build}`);
    for (const { title, state, seconds } of steps) {
      rows.push([item.name, title, state === "done" && seconds !== undefined ? formatSeconds(seconds) : state]);
    }
  }
  if (rows.length === 0) rows.push([image.name, "every step", "kept from an earlier run"]);
  const [boot] = items;
  const phases = boot?.phases ?? [];
  for (const [index, { phase, time }] of phases.entries()) {
    const before = index === 0 ? boot?.started : phases[index - 1]?.time;
    rows.push(["nid000001", `boot: ${phase}`, formatSeconds((Date.parse(time) - Date.parse(before ?? time)) / 1000)]);
  }
  rows.push(["", "until the image was there", formatSeconds((times.built - times.began) / 1000)]);
  rows.push(["", "until the node was ready", formatSeconds((now - times.began) / 1000)]);
  printTable(output, ["WHAT", "STEP", "TOOK"], rows);

  const { rootfs } = image.artifacts;
  output.print("");
  output.print(`image    ${image.name} (${image.id}), build id ${image.buildId}`);
  output.print(`digest   sha256:${rootfs?.sha256} (rootfs, ${formatBytes(rootfs?.size ?? 0)})`);
  output.print(`verdict  ${verdict.status}: ${verdict.summary.passed} checks passed, ${verdict.summary.failed} failed`);
  output.print(paint(output, "green", "nid000001 Ready"));
}

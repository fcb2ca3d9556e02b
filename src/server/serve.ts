import { chmod, mkdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fastify, { type FastifyInstance } from "fastify";
import { openAdminDoor, type AdminParts } from "../api/admin.ts";
import { registerNodeDoor } from "../api/node-door/routes.ts";
import { registerOciRegistry } from "../api/oci/routes.ts";
import { answerProblems } from "../api/problem.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { start } from "../lib/exec.ts";
import { log } from "../lib/log.ts";
import { startReconciler } from "../orchestration/index.ts";
import { openPower } from "../power/index.ts";
import { advanceRun, carryRunsOn, planImages, planPorts, uncommittedFiles } from "./bootprep.ts";
import type { Config } from "./config.ts";
import { lifecycleParts } from "./lifecycle/index.ts";
import { findVouched, imageWork } from "./image-work.ts";
import { ociCatalog } from "./oci.ts";
import { recipeLocks } from "./recipe-locks.ts";
import { openHouse, type House } from "./open.ts";
import { version } from "./version.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

export interface ServeOptions {
  /** Start a worker beside the server, which needs root. */
  readonly worker: boolean;
  /** Called when every door is open. */
  readonly onReady: (doors: { socket: string; admin: string | undefined; nodeDoor: string }) => void;
}

/** Serves until the signal, then stops in order: doors, reconcilers, worker, database. */
export async function serve(config: Config, options: ServeOptions, until: AbortSignal): Promise<void> {
  // A door that cannot be opened stops the rest as the caller's signal does.
  const failed = new AbortController();
  const signal = AbortSignal.any([until, failed.signal]);
  await mkdir(config.data, { recursive: true, mode: 0o750 });
  await claimSocket(config.socket);
  const house = await openHouse(config);
  const nodeDoor = fastify({ forceCloseConnections: true });
  const address = splitAddress(config.node_door_listen);
  const doorPort = () => portOf(nodeDoor) ?? address.port;
  const power = openPower({ database: house.db, dataDir: config.data, doorPort });
  const findImage = (id: string) => house.images.findImage(id);
  const reconciler = startReconciler({ ...house, power, findImage: (id) => findVouched(id, house) }, { signal });
  const wake = () => reconciler.wake();

  answerProblems(nodeDoor);
  registerNodeDoor(nodeDoor, { ...house, findImage, onReport: wake });
  registerOciRegistry(nodeDoor, ociCatalog(house));
  const door = () => `${address.host}:${doorPort()}`;
  const parts: AdminParts = {
    ...house,
    power,
    wake,
    door,
    version,
    bootprep: bootprepParts(house),
    lifecycle: lifecycleParts(house),
    work: imageWork(house),
    locks: recipeLocks(house),
  };
  const unixDoor = openAdminDoor(parts, { requireToken: false });
  const tcpDoor = config.admin_listen === undefined ? undefined : openAdminDoor(parts, { requireToken: true });

  try {
    await listen(nodeDoor, address, "node_door_listen");
    if (tcpDoor !== undefined) await listen(tcpDoor, splitAddress(config.admin_listen ?? ""), "admin_listen");
    await unixDoor.listen({ path: config.socket });
    await chmod(config.socket, 0o600);
    const admin =
      tcpDoor === undefined ? undefined : `${splitAddress(config.admin_listen ?? "").host}:${portOf(tcpDoor)}`;
    options.onReady({ socket: config.socket, admin, nodeDoor: door() });
    const worker = options.worker ? superviseWorker(config, signal) : Promise.resolve();
    await carryRunsOn(house, signal);
    await worker;
  } finally {
    failed.abort();
    await Promise.all([unixDoor.close(), tcpDoor?.close(), nodeDoor.close()]);
    await reconciler.stopped;
    await house.db.destroy();
  }
}

function bootprepParts(house: House): AdminParts["bootprep"] {
  return {
    ports: planPorts(house),
    planImages: (plan) => planImages(plan, house),
    uncommitted: (plan) => uncommittedFiles(plan, house),
    startRun: async (file, plan) => {
      const run = await house.runs.create(file, plan);
      await advanceRun(run, plan, house);
      return (await house.runs.find(run.id)) ?? run;
    },
    findRun: (id) => house.runs.find(id),
    listRuns: (page) => house.runs.list(page),
  };
}

/** A socket that nobody answers on was left by a server that died; one that is answered belongs to a running server. */
async function claimSocket(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.on("connect", () => resolve(true)).on("error", () => resolve(false));
    probe.unref();
  });
  if (answered) {
    throw new NetkilnError("conflict", `a netkiln server is running already on ${path}`, {
      hint: "stop it, or choose another data folder with --data",
    });
  }
  await rm(path, { force: true });
}

async function listen(app: FastifyInstance, address: { host: string; port: number }, option: string): Promise<void> {
  try {
    await app.listen(address);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NetkilnError("invalid_input", `cannot listen on ${address.host}:${address.port}: ${reason}`, {
      hint: `choose another address with the option ${option}`,
    });
  }
}

function splitAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

function portOf(app: FastifyInstance): number | undefined {
  const bound = app.server.address();
  return bound !== null && typeof bound === "object" ? bound.port : undefined;
}

const workerRestartMs = 1000;

/** Keeps a worker running; one that dies is replaced, and its jobs go on from their last finished step. */
async function superviseWorker(config: Config, signal: AbortSignal): Promise<void> {
  const argv = [process.execPath, main, "worker", "--data", config.data] as const;
  const configured = config.file === undefined ? argv : ([...argv, "--config", config.file] as const);
  while (!signal.aborted) {
    const worker = start(configured, { logFile: join(config.data, "worker.log"), dieWithParent: true });
    const stop = () => worker.kill("SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    const { exitCode, signal: killedBy } = await worker.ended;
    signal.removeEventListener("abort", stop);
    if (signal.aborted) return;
    log.warn({ exitCode, killedBy }, "the worker ended; starting another one");
    await clock.sleep(workerRestartMs, signal).catch(() => undefined);
  }
}

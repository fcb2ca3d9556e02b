import { chmod, mkdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fastify, { type FastifyInstance } from "fastify";
import { openGitLogin } from "../access/index.ts";
import { openAdminDoor, type AdminParts } from "../api/admin.ts";
import { registerNodeSide } from "../api/node-side.ts";
import { failureAnswers } from "../api/problem.ts";
import { prepareScripts } from "../boot/index.ts";
import { openServedRepositories } from "../configuration/index.ts";
import { nodeKey } from "../configuration/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { start } from "../lib/exec.ts";
import { log } from "../lib/log.ts";
import { startReconciler } from "../orchestration/index.ts";
import { freeLeftReservations, openPower, reservedPower, startTransitions } from "../power/index.ts";
import { accessParts, adminUrl } from "./access.ts";
import { openAdminTls } from "./admin-tls.ts";
import { bootprepParts, carryRunsOn } from "./bootprep.ts";
import type { Config } from "./config.ts";
import { carryConfigurationOn } from "./configuration-sessions.ts";
import { lifecycleParts } from "./lifecycle/index.ts";
import { carryImageJobsOn } from "./image-jobs.ts";
import { nodeKeyFolder, runFolder } from "./live-sessions.ts";
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

/**
 * Of the node door: until a request has come. What nodes send is small, and what they are sent takes as long as it takes.
 * Node takes the longer one of both for the whole request, and its own for the headers is a minute.
 */
const receiveLimits = {
  requestTimeout: 30_000,
  http: { headersTimeout: 30_000, connectionsCheckingInterval: 5_000 },
};

/** Serves until the signal, then stops in order: doors, reconcilers, worker, database. */
export async function serve(config: Config, options: ServeOptions, until: AbortSignal): Promise<void> {
  // A door that cannot be opened stops the rest as the caller's signal does.
  const failed = new AbortController();
  const signal = AbortSignal.any([until, failed.signal]);
  const adminAddress = config.admin_listen === undefined ? undefined : splitAddress(config.admin_listen);
  await mkdir(config.data, { recursive: true, mode: 0o750 });
  // Before a worker, which is root, makes it.
  await mkdir(join(config.data, "keys"), { recursive: true, mode: 0o755 });
  const tls = adminAddress && (await openAdminTls(config, adminAddress.host));
  await claimSocket(config.socket);
  const house = await openHouse(config);
  // Before anything is started: it may fail.
  const sat = await satParts(config, house);
  const nodeDoor = fastify({
    ...failureAnswers,
    forceCloseConnections: true,
    trustProxy: [...config.trusted_proxies],
    ...receiveLimits,
  });
  const address = splitAddress(config.node_door_listen);
  const doorPort = () => portOf(nodeDoor) ?? address.port;
  const power = openPower({ database: house.db, dataDir: config.data, doorPort });
  await freeLeftReservations(house);
  const transitions = startTransitions({ ...house, power }, { signal });
  const findImage = (id: string) => house.images.findImage(id);
  const findBootable = (id: string) => findVouched(id, house);
  const reconciler = startReconciler(
    {
      ...house,
      power: reservedPower(power, house.inventory.locks),
      findImage: findBootable,
    },
    { signal },
  );
  const wake = () => reconciler.wake();

  registerNodeSide(nodeDoor, { ...house, findImage, onReport: wake, catalog: ociCatalog(house) });
  const door = () => `${address.host}:${doorPort()}`;
  const admin = () =>
    adminUrl(config, tls !== undefined, { ...adminAddress, ...(tcpDoor && { port: portOf(tcpDoor) }) });
  const parts: AdminParts = {
    ...house,
    ...accessParts(config, house, admin),
    certificates: tls?.certificates,
    power,
    wakeTransitions: () => transitions.wake(),
    wake,
    door,
    findBootable,
    version,
    bootprep: bootprepParts(house, { catalog: house.catalog, ...config.sat }),
    lifecycle: lifecycleParts(house),
    work: imageWork(house),
    locks: recipeLocks(house),
    sat,
    sessionLog: (run) => join(runFolder(house.data, run), "log"),
    nodeKey: async () => (await nodeKey(nodeKeyFolder(house.data))).publicKey,
  };
  const unixDoor = openAdminDoor(parts, { requireToken: false });
  const tcpDoor =
    adminAddress &&
    openAdminDoor(parts, { requireToken: true, tls: tls?.options, trustedProxies: config.trusted_proxies });

  try {
    await listen(nodeDoor, address, "node_door_listen");
    if (adminAddress && tcpDoor) await listen(tcpDoor, adminAddress, "admin_listen");
    await unixDoor.listen({ path: config.socket });
    await chmod(config.socket, 0o600);
    options.onReady({ socket: config.socket, admin: tcpDoor && admin(), nodeDoor: door() });
    await Promise.all([
      options.worker && superviseWorker(config, signal),
      carryRunsOn(house, signal),
      carryConfigurationOn(house, signal),
      carryImageJobsOn(house, signal),
      prepareScripts(house.scripts, signal),
      tcpDoor && tls?.keepCurrent(tcpDoor.server, signal),
    ]);
  } finally {
    failed.abort();
    await Promise.all([unixDoor.close(), tcpDoor?.close(), nodeDoor.close()]);
    await Promise.all([reconciler.stopped, transitions.stopped]);
    await house.accesses.flush();
    await house.db.destroy();
  }
}

async function satParts({ sat }: Config, { data, git }: House): Promise<AdminParts["sat"]> {
  if (sat === undefined) return undefined;
  return {
    gitLogin: await openGitLogin(join(data, "keys")),
    repositories: openServedRepositories(sat.repositories, git),
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
/** MB that a worker allocates between two collections of garbage: with Node's 16 they take a twentieth of a small build. */
const roomForNew = "--max-semi-space-size=64";

/** Keeps a worker running; one that dies is replaced, and its jobs go on from their last finished step. */
async function superviseWorker(config: Config, signal: AbortSignal): Promise<void> {
  const argv = [process.execPath, roomForNew, main, "worker", "--data", config.data] as const;
  const configured = config.file === undefined ? argv : ([...argv, "--config", config.file] as const);
  while (!signal.aborted) {
    try {
      const worker = start(configured, { logFile: join(config.data, "worker.log"), dieWithParent: true });
      const stop = () => worker.kill("SIGTERM");
      signal.addEventListener("abort", stop, { once: true });
      const { exitCode, signal: killedBy } = await worker.ended;
      signal.removeEventListener("abort", stop);
      if (signal.aborted) return;
      log.warn({ exitCode, killedBy }, "the worker ended; starting another one");
    } catch (error) {
      // Its log cannot be written, as on a full disk.
      log.error({ error }, "the worker cannot be started; trying again");
    }
    await clock.sleep(workerRestartMs, signal).catch(() => undefined);
  }
}

/** The Power Control Service against its contract, and the calls of its clients. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fastify, { type FastifyInstance } from "fastify";
import { openAdminDoor, type AdminParts } from "../../src/api/admin.ts";
import { pcsService } from "../../src/api/csm/pcs/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import { migrate, openDatabase, type Database } from "../../src/lib/db.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../../src/node/index.ts";
import {
  migrations as powerMigrations,
  openPower,
  openPowerCapStore,
  openTransitionStore,
  startTransitions,
} from "../../src/power/index.ts";
import { contractFile, readContract } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const file = "pcs-v1.openapi.yaml";
const skip = existsSync(contractFile(file)) ? false : "the contract's file is not here";

const one = "x1000c0s0b0n0";
const two = "x1000c0s0b0n1";
const three = "x1000c0s1b0n0";
/** Does not listen to its power button. */
const stubborn = "x1000c0s1b0n1";
const nowhere = "00000000-0000-4000-8000-000000000000";

interface Told {
  readonly transitionStatus: string;
  readonly taskCounts: Readonly<Record<string, number>>;
  readonly tasks: readonly { xname: string; taskStatus: string; taskStatusDescription: string; error?: string }[];
}

interface Statuses {
  readonly status: readonly {
    readonly xname: string;
    readonly powerState: string;
    readonly managementState: string;
    readonly error: string;
    readonly supportedPowerTransitions: readonly string[];
    readonly lastUpdated?: string;
  }[];
}

/** Everything of PCS, with nodes whose power is only written down. */
async function openHouse() {
  const db: Database = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...powerMigrations });
  const nodes = openNodeStore(db);
  const stop = new AbortController();
  const power = openPower({ database: db, dataDir: "/nowhere", doorPort: () => 1 });
  const off: typeof power.off = async (node, how) => {
    if (node.xname !== stubborn || how === "forced") await power.off(node, how);
  };
  const parts = {
    nodes,
    inventory: openInventory(db),
    power: { ...power, off },
    transitions: openTransitionStore(db),
    powerCaps: openPowerCapStore(db, nodes),
  };
  for (const [index, xname] of [one, two, three, stubborn].entries())
    await nodes.put(parseNode({ xname, nid: index + 1 }));
  const running = startTransitions(parts, { signal: stop.signal });
  return {
    ...parts,
    wakeTransitions: running.wake,
    close: async () => {
      stop.abort();
      await running.stopped;
      await db.destroy();
    },
  };
}

type House = Awaited<ReturnType<typeof openHouse>>;

function openApp(house: House): FastifyInstance {
  const app = fastify();
  answerProblems(app);
  registerService(app, pcsService(house));
  return app;
}

describe("pcs", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;

  before(async () => {
    house = await openHouse();
    app = openApp(house);
    const contract = readContract(file, ({ paths }) => {
      // The service itself says so, and there is no other word for it.
      const found = paths["/transitions/{transitionID}"]?.["get"];
      assert.ok(found);
      Object.assign(found.responses, { 404: { description: "not found" } });
    });
    trial = openTrial(app, "/apis/power-control/v1", contract);
  });
  after(async () => {
    // These are asked with a GET alone, which is never refused.
    trial.assertAllTried(["GET /health"]);
    await app.close();
    await house.close();
  });

  const start = async (body: object) => {
    const { transitionID } = await trial.ask<{ transitionID: string }>("POST /transitions", 200, { body });
    return { params: { transitionID } };
  };
  const ended = async (sent: { params: { transitionID: string } }): Promise<Told> => {
    for (;;) {
      const told = await trial.ask<Told>("GET /transitions/{transitionID}", 200, sent);
      if (told.transitionStatus === "completed" || told.transitionStatus === "aborted") return told;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const location = (...names: string[]) => names.map((xname) => ({ xname }));

  test("transitions", async () => {
    const made = await trial.ask<object>("POST /transitions", 200, {
      body: {
        operation: "ON",
        taskDeadlineMinutes: 5,
        location: location(one, "X1000c0s0b0n1", "x9c0s0b0n0", "x1000c0"),
      },
    });
    assert.deepEqual(Object.keys(made), ["transitionID", "operation"]);
    assert.equal((made as { operation: string }).operation, "On");
    const told = await ended({ params: made as { transitionID: string } });
    assert.deepEqual(told.taskCounts, {
      ...{ total: 4, new: 0, "in-progress": 0, failed: 1, succeeded: 2, "un-supported": 1 },
    });
    assert.deepEqual(told.tasks[2], {
      xname: "x9c0s0b0n0",
      taskStatus: "failed",
      taskStatusDescription: "Failed to achieve transition",
      error: "Missing xname",
    });
    for (const operation of ["soft-restart", "hard-restart", "init", "soft-off", "on", "off", "on", "force-off"]) {
      const { taskCounts } = await ended(await start({ operation, location: location(one) }));
      assert.equal(taskCounts["succeeded"], 1, operation);
    }
    const bad = [
      {},
      { operation: "explode", location: location(one) },
      { operation: "on", location: location("nid000001", one, "x1z2") },
      { operation: "on", location: [{ deputyKey: "no xname" }] },
      { operation: "on", taskDeadlineMinutes: -2 },
      '{"operation":',
      "[]",
    ];
    for (const body of bad) await trial.ask("POST /transitions", 400, { body });
    await trial.ask("GET /transitions/{transitionID}", 400, { params: { transitionID: "../etc" } });
    await trial.ask("GET /transitions/{transitionID}", 404, { params: { transitionID: nowhere } });
    const all = await trial.ask<{ transitions: { tasks?: unknown }[] }>("GET /transitions", 200);
    assert.equal(all.transitions.length, 9, "what was refused left nothing behind");
    assert.ok(all.transitions.every((each) => each.tasks === undefined));
  });

  test("every bad xname is told at once, in the detail that clients show", async () => {
    const { detail, statusCode } = await trial.ask<{ detail: string; statusCode: number }>("POST /transitions", 400, {
      body: { operation: "on", location: location("nid1", one, "x1z2") },
    });
    assert.match(detail, /location\[0\]\.xname: xname ID 'nid1' is invalid; location\[2\]\.xname: .*'x1z2' is invalid/);
    assert.equal(statusCode, 400);
  });

  test("an abort", async () => {
    const done = await start({ operation: "on", location: location(stubborn) });
    await ended(done);
    await trial.ask("DELETE /transitions/{transitionID}", 400, done);
    await trial.ask("DELETE /transitions/{transitionID}", 404, { params: { transitionID: nowhere } });
    const waiting = await start({ operation: "off", location: location(stubborn) });
    const told = await trial.ask("DELETE /transitions/{transitionID}", 202, waiting);
    assert.deepEqual(told, { abortStatus: "Accepted - abort initiated" });
    const { transitionStatus, tasks } = await ended(waiting);
    assert.equal(transitionStatus, "aborted");
    assert.equal(tasks[0]?.error, "Transition aborted");
    await trial.ask("DELETE /transitions/{transitionID}", 202, waiting);
  });

  test("locks and reservations", async () => {
    await ended(await start({ operation: "force-off", location: location(one, two) }));
    const { locks } = house.inventory;
    await locks.setLocked({ xnames: [one] }, true, "rigid");
    const { done } = await locks.reserve({ xnames: [two] }, 15, "rigid");
    const refused = await ended(await start({ operation: "on", location: location(one, two) }));
    assert.deepEqual(
      refused.tasks.map(({ error }) => error),
      ["Unable to reserve component: it is locked", "Unable to reserve component: it is reserved by somebody else"],
    );
    const deputyKey = done[0]?.deputyKey;
    const shown = await ended(await start({ operation: "on", location: [{ xname: two, deputyKey }] }));
    assert.equal(shown.taskCounts["succeeded"], 1);
    assert.ok(!JSON.stringify(shown).includes(":dk:"), "no key is told");
    await locks.removeReservations({}, "flexible");
    await locks.setLocked({ xnames: [one] }, false, "rigid");
  });

  test("power status", async () => {
    await ended(await start({ operation: "on", location: location(one) }));
    await ended(await start({ operation: "off", location: location(two, three) }));
    const names = (found: Statuses) => found.status.map(({ xname, powerState }) => `${xname} ${powerState}`);
    const all = await trial.ask<Statuses>("GET /power-status", 200);
    assert.deepEqual(names(all), [`${one} on`, `${two} off`, `${three} off`, `${stubborn} on`]);
    const [first] = all.status;
    assert.equal(first?.managementState, "available");
    assert.equal(first.error, "");
    assert.equal(first.supportedPowerTransitions.length, 7);
    assert.ok(Math.abs(Date.parse(first.lastUpdated ?? "") - Date.now()) < 10_000);
    const query = { xname: [two, "x9c0s0b0n0", "x1000c0"], powerStateFilter: "OFF" };
    const some = await trial.ask<Statuses>("GET /power-status", 200, { query });
    assert.deepEqual(names(some), [`${two} off`, "x9c0s0b0n0 undefined", "x1000c0 undefined"]);
    assert.deepEqual(
      some.status.map(({ error }) => error),
      ["", "Component not found", "No power control for component type Chassis"],
    );
    const none = await trial.ask<Statuses>("GET /power-status", 200, {
      query: { xname: one, managementStateFilter: "unavailable" },
    });
    assert.deepEqual(none.status, []);
    await trial.ask("GET /power-status", 400, { query: { powerStateFilter: "asleep" } });
    await trial.ask("GET /power-status", 400, { query: { xname: [one, "nid1"] } });
    const posted = await trial.ask<Statuses>("POST /power-status", 200, {
      body: { xname: [one, two], powerStateFilter: "on" },
    });
    assert.deepEqual(names(posted), [`${one} on`]);
    await trial.ask("POST /power-status", 400);
    await trial.ask("POST /power-status", 400, { body: { xnames: [one] } });
    await trial.ask("POST /power-status", 400, { body: { xname: "x1z2" } });
  });

  test("power caps: no driver can, and that is what is told", async () => {
    const snapshot = await trial.ask<{ taskID: string }>("POST /power-cap/snapshot", 200, {
      body: { xnames: [one, "x9c0s0b0n0", "x1000c0", one] },
    });
    const told = await trial.ask<Record<string, unknown>>("GET /power-cap/{taskID}", 200, { params: { ...snapshot } });
    assert.equal(told["taskStatus"], "completed");
    assert.deepEqual(told["taskCounts"], {
      ...{ total: 3, new: 0, "in-progress": 0, failed: 1, succeeded: 0, "un-supported": 2 },
    });
    assert.deepEqual(told["components"], [
      { xname: one, error: "Power capping is not supported by the power driver simulated" },
      { xname: "x9c0s0b0n0", error: "Xname not found in HSM" },
      { xname: "x1000c0", error: "Type, Chassis unsupported for power capping" },
    ]);
    const controls = [{ name: "Node Power Limit", value: 400 }];
    await trial.ask("PATCH /power-cap", 200, { body: { components: [{ xname: one, controls }] } });
    const all = await trial.ask<{ tasks: { type: string; components?: unknown }[] }>("GET /power-cap", 200);
    assert.deepEqual(
      all.tasks.map(({ type, components }) => [type, components]),
      [
        ["snapshot", undefined],
        ["patch", undefined],
      ],
    );
    await trial.ask("POST /power-cap/snapshot", 400, { body: { xnames: ["x1z2"] } });
    const much = [{ name: "Node", value: "much" }];
    await trial.ask("PATCH /power-cap", 400, { body: { components: [{ xname: one, controls: much }] } });
    await trial.ask("GET /power-cap/{taskID}", 404, { params: { taskID: nowhere } });
  });

  test("whether it lives", async () => {
    await trial.ask("GET /liveness", 204);
    await trial.ask("GET /readiness", 204);
    const health = await trial.ask<Record<string, string>>("GET /health", 200);
    assert.equal(health["StateManager"], "connected, responsive");
  });
});

describe("the calls of PCS's clients", () => {
  let house: House;
  let app: FastifyInstance;
  before(async () => {
    house = await openHouse();
    app = openApp(house);
  });
  after(async () => {
    await app.close();
    await house.close();
  });

  /** `ochami` sends no content type, and reads every body as JSON. */
  const ochami = async (method: "GET" | "POST" | "DELETE", url: string, body?: object) => {
    const payload = body === undefined ? {} : { payload: JSON.stringify(body) };
    const answer = await app.inject({ method, url, headers: { "user-agent": "ochami/0.7.2" }, ...payload });
    return { status: answer.statusCode, json: answer.body === "" ? undefined : (answer.json() as never) };
  };

  test("ochami pcs: start, list, show, monitor, abort, status, service status", async () => {
    const body = { operation: "on", taskDeadlineMinutes: null, location: [{ xname: one }, { xname: two }] };
    const started = await ochami("POST", "/transitions", body);
    const { transitionID: id, operation } = started.json as unknown as { transitionID: string; operation: string };
    assert.deepEqual([started.status, operation], [200, "On"]);
    const ask = async () => (await ochami("GET", `/transitions/${id}`)).json as unknown as Told;
    let told = await ask();
    for (; told.transitionStatus !== "completed"; told = await ask()) await sleep(10);
    assert.equal(told.taskCounts["succeeded"], 2);
    const listed = (await ochami("GET", "/transitions")).json as unknown as { transitions: { transitionID: string }[] };
    assert.equal(listed.transitions[0]?.transitionID, id);
    assert.equal((await ochami("DELETE", `/transitions/${id}`)).status, 400);
    const reinit = await ochami("POST", "/transitions", { operation: "reinit", location: [{ xname: one }] });
    assert.equal((reinit.json as unknown as { operation: string }).operation, "Init");

    const shown = (await ochami("GET", `/power-status?xname=${three}`)).json as unknown as Statuses;
    assert.equal(shown.status[0]?.powerState, "off");
    const filtered = await ochami("GET", `/power-status?xname=${two}&xname=${three}&powerStateFilter=on`);
    assert.equal((filtered.json as unknown as Statuses).status.length, 1);
    const empty = await ochami("GET", "/power-status?managementStateFilter=&powerStateFilter=");
    assert.equal((empty.json as unknown as Statuses).status.length, 4);
    assert.equal((await ochami("GET", "/readiness")).status, 204);
    assert.equal((await ochami("GET", "/liveness")).status, 204);
    const health = (await ochami("GET", "/health")).json as unknown as Record<string, string>;
    for (const part of ["KvStore", "StateManager", "Vault"]) assert.ok(health[part], part);
  });

  test("cray power: transition, status and cap", async () => {
    const base = "/apis/power-control/v1";
    const ask = async (method: "GET" | "POST" | "PATCH" | "DELETE", path: string, payload?: object) => {
      const headers = { accept: "application/json" };
      const answer = await app.inject({ method, url: `${base}${path}`, headers, ...(payload && { payload }) });
      assert.ok(answer.statusCode < 400, `${method} ${path}: ${answer.body}`);
      return answer.json() as Record<string, unknown>;
    };
    for (const operation of ["on", "off", "soft-off", "soft-restart", "hard-restart", "init", "force-off"]) {
      const { transitionID } = await ask("POST", "/transitions", { location: [{ xname: three }], operation });
      assert.equal((await ask("GET", `/transitions/${String(transitionID)}`))["transitionID"], transitionID);
    }
    const { transitions } = await ask("GET", "/transitions");
    assert.ok(Array.isArray(transitions) && transitions.length >= 7);
    await ask("GET", `/power-status?powerStateFilter=off&managementStateFilter=available&xname=${one}&xname=${two}`);
    await ask("GET", `/power-status?xname=${one}`);
    const { taskID } = await ask("POST", "/power-cap/snapshot", { xnames: [one, two] });
    await ask("PATCH", "/power-cap", { components: [{ xname: one, controls: [{ name: "Node", value: 400 }] }] });
    await ask("GET", "/power-cap");
    await ask("GET", `/power-cap/${String(taskID)}`);
  });

  test("the door takes a URL with 2500 xnames, and PCS's paths are nobody else's", async () => {
    const door = openAdminDoor({ ...house, version: "1", bootprep: {} } as unknown as AdminParts, {
      requireToken: false,
    });
    try {
      await door.listen({ host: "127.0.0.1", port: 0 });
      const { port } = door.server.address() as AddressInfo;
      const names = Array.from({ length: 2500 }, (_, number) => `xname=x1000c0s0b0n${number}`);
      const answer = await fetch(`http://127.0.0.1:${port}/apis/power-control/v1/power-status?${names.join("&")}`);
      assert.equal(answer.status, 200);
      assert.equal(((await answer.json()) as Statuses).status.length, 2500);
      assert.equal((await fetch(`http://127.0.0.1:${port}/readiness`)).status, 204);
    } finally {
      await door.close();
    }
  });
});

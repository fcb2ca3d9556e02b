/** Transitions over their real stores, of machines that exist here alone; for tests. */
import { migrate, openDatabase, type Database } from "../lib/db.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore } from "../node/index.ts";
import { migrations, openTransitionStore } from "./index.ts";
import { boundPower } from "./open.ts";
import type { PowerOperation } from "./transition-types.ts";
import { advanceTransition, type TransitionParts } from "./transitions.ts";
import type { PowerDriver } from "./types.ts";

export const one = "x1c0s0b0n0";
export const two = "x1c0s0b0n1";

/** Machines that do what they are told at once, but for those that do not listen to the power button. */
function openMachines() {
  const on = new Set<string>();
  const stubborn = new Set<string>();
  const calls: string[] = [];
  const driver: PowerDriver = {
    status: async ({ xname }) => (on.has(xname) ? "on" : "off"),
    on: async ({ xname }) => {
      calls.push(`on ${xname}`);
      on.add(xname);
    },
    off: async ({ xname }, how) => {
      calls.push(`${how} ${xname}`);
      if (how === "forced" || !stubborn.has(xname)) on.delete(xname);
    },
  };
  return { on, stubborn, calls, driver };
}

export function openParts(db: Database, driver: PowerDriver) {
  const parts = {
    transitions: openTransitionStore(db),
    nodes: openNodeStore(db),
    inventory: openInventory(db),
    power: boundPower(driver),
  } satisfies TransitionParts;
  return parts;
}

export async function openHouse(count = 2) {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const machines = openMachines();
  const parts = openParts(db, machines.driver);
  const names = Array.from({ length: count }, (_, number) => `x1c0s0b0n${number}`);
  const unsaid = {
    flag: "OK",
    softwareStatus: undefined,
    role: undefined,
    subRole: undefined,
    nid: undefined,
  } as const;
  await parts.inventory.components.create(
    names.map((xname) => ({
      ...{ xname, state: "Off", enabled: true, ...unsaid, subtype: undefined },
      ...{ netType: undefined, class: undefined, arch: undefined },
    })),
    { force: false },
  );
  const { locks } = parts.inventory;
  const start = async (
    operation: PowerOperation,
    given: readonly (string | { xname: string; deputyKey: string })[] = [one],
    deadlineMinutes = 5,
  ) => {
    const components = given.map((each) => (typeof each === "string" ? { xname: each, deputyKey: undefined } : each));
    return (await parts.transitions.create({ operation, deadlineMinutes, components })).id;
  };
  /** What became of it, one line for each task. */
  const told = async (id: string) => {
    const transition = await parts.transitions.get(id);
    const lines = (await parts.transitions.tasks(id)).map(({ xname, status, description, error }) =>
      [xname, status, description, error].filter((part) => part !== undefined).join(" | "),
    );
    return [transition?.status, ...lines];
  };
  const step = async (id: string) => {
    await advanceTransition(parts, id);
    return told(id);
  };
  const reserved = async () => (await locks.status({ reserved: ["true"] }, { limit: 99 })).map(({ xname }) => xname);
  const reserve = async (xname: string) => {
    const { done } = await locks.reserve({ xnames: [xname] }, 15, "rigid");
    return done[0]?.deputyKey ?? "";
  };
  const stateOf = async (xname: string) => (await parts.nodes.get(xname))?.state;
  return { db, parts, locks, machines, names, start, step, told, reserved, reserve, stateOf };
}

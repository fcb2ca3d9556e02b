import { clock } from "../lib/clock.ts";
import type { Database } from "../lib/db.ts";
import { Slots } from "../lib/slots.ts";
import type { Node } from "../node/index.ts";
import { simulatedPower } from "./simulated.ts";
import type { Power, PowerDriver, Ready, Sighting } from "./types.ts";
import { virtualPower, type VirtualOptions } from "./virtual.ts";

/** Every node's power, by the driver that the node names. */
export function openPower(options: VirtualOptions & { readonly database: Database }): Power {
  const drivers: Readonly<Record<Node["power"]["driver"], PowerDriver>> = {
    virtual: virtualPower(options),
    simulated: simulatedPower(options.database),
  };
  return boundPower({
    status: (node) => drivers[node.power.driver].status(node),
    on: (node) => drivers[node.power.driver].on(node),
    off: (node, how) => drivers[node.power.driver].off(node, how),
  });
}

/** Of each, whoever asks: a question is quick and switching may take seconds, so neither waits for the other. */
const atOnce = { questions: 64, switching: 32 };
const recentMs = 2000;

/** A driver that is asked by so many at a time, and whose answers are kept for a moment. */
export function boundPower(driver: PowerDriver): Power {
  const questions = new Slots(atOnce.questions);
  const switching = new Slots(atOnce.switching);
  const seen = new Map<string, { readonly at: number; readonly sighting: Promise<Sighting> }>();

  const look = (node: Node): Promise<Sighting> => {
    const sighting = questions.run(async () => ({ state: await driver.status(node), time: clock.now() }));
    const entry = { at: clock.now().getTime(), sighting };
    seen.set(node.xname, entry);
    // Nothing is kept of a question that failed: the next one may be answered.
    sighting.catch(() => {
      if (seen.get(node.xname) === entry) seen.delete(node.xname);
    });
    return sighting;
  };
  /** Forgotten afterwards: what was seen meanwhile may be of before. */
  const change = async (node: Node, ready: Ready | undefined, work: () => Promise<void>) => {
    try {
      await switching.run(async () => {
        await ready?.();
        await work();
      });
    } finally {
      seen.delete(node.xname);
    }
  };
  return {
    status: async (node) => (await look(node)).state,
    recent: (node) => {
      const known = seen.get(node.xname);
      return known !== undefined && clock.now().getTime() - known.at < recentMs ? known.sighting : look(node);
    },
    on: (node, ready) => change(node, ready, () => driver.on(node)),
    off: (node, how, ready) => change(node, ready, () => driver.off(node, how)),
  };
}

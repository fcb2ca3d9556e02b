import type { Database } from "../lib/db.ts";
import type { Node } from "../node/index.ts";
import { simulatedPower } from "./simulated.ts";
import type { PowerDriver } from "./types.ts";
import { virtualPower, type VirtualOptions } from "./virtual.ts";

export { migrations } from "./simulated.ts";
export type { PowerDriver, PowerState } from "./types.ts";

/** Every node's power, by the driver that the node names. */
export function openPower(options: VirtualOptions & { readonly database: Database }): PowerDriver {
  const drivers: Readonly<Record<Node["power"]["driver"], PowerDriver>> = {
    virtual: virtualPower(options),
    simulated: simulatedPower(options.database),
  };
  return {
    status: (node) => drivers[node.power.driver].status(node),
    on: (node) => drivers[node.power.driver].on(node),
    off: (node, how) => drivers[node.power.driver].off(node, how),
  };
}

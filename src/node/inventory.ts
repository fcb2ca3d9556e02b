import type { Database } from "../lib/db.ts";
import { openComponentStore, type ComponentStore } from "./components.ts";
import { openEndpointStore, type EndpointStore } from "./endpoints.ts";
import { openGroupStore, type GroupStore } from "./groups.ts";
import { openInterfaceStore, type InterfaceStore } from "./interfaces.ts";
import { openLockStore, type LockStore } from "./locks.ts";
import { openNodeMapStore, openPowerMapStore, type MapStore, type NodeMap, type PowerMap } from "./maps.ts";

/** All that is known about the hardware; the node store shows the nodes of it in netkiln's own form. */
export interface Inventory {
  readonly components: ComponentStore;
  readonly groups: GroupStore;
  readonly partitions: GroupStore;
  readonly locks: LockStore;
  readonly interfaces: InterfaceStore;
  readonly endpoints: EndpointStore;
  readonly nodeMaps: MapStore<NodeMap>;
  readonly powerMaps: MapStore<PowerMap>;
}

export function openInventory(database: Database): Inventory {
  return {
    components: openComponentStore(database),
    groups: openGroupStore(database, "group"),
    partitions: openGroupStore(database, "partition"),
    locks: openLockStore(database),
    interfaces: openInterfaceStore(database),
    endpoints: openEndpointStore(database),
    nodeMaps: openNodeMapStore(database),
    powerMaps: openPowerMapStore(database),
  };
}

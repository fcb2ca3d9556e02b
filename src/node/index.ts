export type { ComponentStore } from "./components.ts";
export type { Derived, Endpoint, EndpointPart, EndpointStore } from "./endpoints.ts";
export type { InterfaceInput, InterfaceStore } from "./interfaces.ts";
export { openNodeFinder, type NamedNode, type NodeFinder } from "./finder.ts";
export { openInventory, type Inventory } from "./inventory.ts";
export type { GroupStore } from "./groups.ts";
export type { Key, LockFailure, LockResult, LockStatus, LockStore, Reservation } from "./locks.ts";
export type { MapStore, NodeMap } from "./maps.ts";
export { nodeXnames, type NodeNames } from "./named.ts";
export { refuseOldXnames } from "./old-xnames.ts";
export { parseNode, labelSchema, xnameSchema } from "./schema.ts";
export { openNodeStore, type NodeStore } from "./store.ts";
export { migrations } from "./tables.ts";
export {
  canonicalMac,
  componentClasses,
  componentFlags,
  nameKind,
  netTypes,
  nodeStates,
  roles,
  subRoles,
  type Component,
  type ComponentFilter,
  type ComponentInput,
  type ComponentState,
  type Group,
  type HsmGroup,
  type Interface,
  type Node,
  type NodeArch,
} from "./types.ts";
export { canonicalXname, componentTypes, typeOfXname } from "./xname.ts";

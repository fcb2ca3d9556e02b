export type { ComponentStore, Page } from "./components.ts";
export type { Derived, Endpoint, EndpointFilter, EndpointPart, EndpointStore, PartFilter } from "./endpoints.ts";
export type { InterfaceFilter, InterfaceInput, InterfaceStore } from "./interfaces.ts";
export { openNodeFinder, type NamedNode, type NodeFinder } from "./finder.ts";
export { openInventory, type Inventory } from "./inventory.ts";
export type { GroupQuery, GroupStore } from "./groups.ts";
export type { Key, LockFailure, LockResult, LockStatus, LockStore, ProcessingModel, Reservation } from "./locks.ts";
export type { MapStore, NodeMap, PowerMap } from "./maps.ts";
export { nodeXnames, type NodeNames } from "./named.ts";
export { parseNode, labelSchema, xnameSchema } from "./schema.ts";
export { openNodeStore, type NodeQuery, type NodeStore } from "./store.ts";
export { migrations } from "./tables.ts";
export {
  aliasOf,
  canonicalMac,
  componentClasses,
  componentFlags,
  nameKind,
  netTypes,
  nodeArchs,
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
  type InterfaceAddress,
  type Membership,
  type Node,
  type NodeArch,
  type NodeInput,
  type NodeInterface,
  type NodeState,
} from "./types.ts";
export { canonicalXname, componentTypes, typeOfXname } from "./xname.ts";

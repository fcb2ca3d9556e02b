export { parseNode, labelSchema, xnameSchema } from "./schema.ts";
export { migrations, openNodeStore, type NodeQuery, type NodeStore } from "./store.ts";
export {
  aliasOf,
  canonicalMac,
  nodeStates,
  type Group,
  type Node,
  type NodeArch,
  type NodeInput,
  type NodeInterface,
  type NodeState,
} from "./types.ts";

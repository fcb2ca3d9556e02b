import type { Inventory } from "../../../node/index.ts";
import type { Service } from "../../service.ts";
import { componentOperations } from "./components.ts";
import { endpointOperations } from "./endpoints.ts";
import { groupOperations } from "./groups.ts";
import { interfaceOperations } from "./interfaces.ts";
import { lockOperations } from "./locks.ts";
import { mapOperations } from "./maps.ts";
import { undiscoveredOperations } from "./not-discovered.ts";
import { serviceOperations } from "./service-values.ts";

export interface HsmParts {
  readonly inventory: Inventory;
}

/** The Hardware State Manager, version 2: the inventory as CSM and OpenCHAMI see it. */
export function hsmService({ inventory }: HsmParts): Service {
  return {
    name: "hsm",
    title: "Hardware State Manager",
    bases: ["/apis/smd/hsm/v2", "/hsm/v2"],
    operations: [
      ...serviceOperations(),
      ...componentOperations(inventory.components),
      ...groupOperations(inventory),
      ...lockOperations(inventory.locks),
      ...interfaceOperations(inventory.interfaces),
      ...endpointOperations(inventory.endpoints),
      ...mapOperations(inventory),
      ...undiscoveredOperations(),
    ],
  };
}

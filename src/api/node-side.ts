import type { FastifyInstance } from "fastify";
import { bssNodeSide } from "./csm/bss/cloud-init.ts";
import { registerNodeDoor, type NodeDoorParts } from "./node-door/routes.ts";
import { registerOciRegistry, type OciCatalog } from "./oci/routes.ts";
import { cloudInitNodeSide } from "./openchami/cloud-init/routes.ts";
import { answerProblems } from "./problem.ts";
import { registerService } from "./service.ts";

export type NodeSideParts = NodeDoorParts &
  Parameters<typeof bssNodeSide>[0] &
  Parameters<typeof cloudInitNodeSide>[0] & {
    /** What stands in the registry. */
    readonly catalog: OciCatalog;
  };

/** The node door: every route that booting nodes may ask for, and none beside. Nobody is asked who he is. */
export function registerNodeSide(app: FastifyInstance, parts: NodeSideParts): void {
  answerProblems(app);
  registerNodeDoor(app, parts);
  registerOciRegistry(app, parts.catalog);
  registerService(app, bssNodeSide(parts));
  registerService(app, cloudInitNodeSide(parts));
}

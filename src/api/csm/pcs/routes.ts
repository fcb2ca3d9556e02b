import type { NetkilnError } from "../../../lib/errors.ts";
import { log } from "../../../lib/log.ts";
import type { StatusParts } from "../../../power/index.ts";
import {
  answer,
  detailedProblem,
  operation,
  type Operation,
  type Service,
  type ServiceProblem,
} from "../../service.ts";
import { capOperations, type CapParts } from "./power-cap.ts";
import { statusOperations } from "./power-status.ts";
import { transitionOperations, type TransitionsParts } from "./transitions.ts";

export type PcsParts = TransitionsParts & CapParts & StatusParts;

/** The Power Control Service, version 1. OpenCHAMI's has its paths at the root. */
export function pcsService(parts: PcsParts): Service {
  return {
    name: "pcs",
    title: "Power Control Service",
    bases: ["/apis/power-control/v1", ""],
    problem,
    operations: [
      ...transitionOperations(parts),
      ...statusOperations(parts),
      ...capOperations(parts),
      ...healthOperations(parts),
    ],
  };
}

/** The contract calls the status `statusCode`; the service itself says `status`. */
function problem(error: NetkilnError): ServiceProblem {
  const said = detailedProblem(error);
  return { ...said, statusCode: said.status };
}

function healthOperations({ transitions, nodes }: PcsParts): Operation[] {
  const works = async (question: () => Promise<unknown>) => {
    try {
      await question();
      return true;
    } catch (error) {
      log.error({ error }, "the database does not answer");
      return false;
    }
  };
  const storage = () => works(() => transitions.unfinished());
  const inventory = () => works(() => nodes.names({ limit: 1 }));
  const told = (answers: boolean) => `connected, ${answers ? "responsive" : "not responsive"}`;
  return [
    operation({ id: "GET /liveness", method: "GET", path: "/liveness", run: async () => answer(204) }),
    operation({
      id: "GET /readiness",
      method: "GET",
      path: "/readiness",
      run: async () => answer((await storage()) && (await inventory()) ? 204 : 503),
    }),
    operation({
      id: "GET /health",
      method: "GET",
      path: "/health",
      run: async () =>
        answer(200, {
          KvStore: told(await storage()),
          DistLocking: "not needed, there is one server",
          StateManager: told(await inventory()),
          Vault: "disabled",
          TaskRunner: "connected, responsive, local mode",
        }),
    }),
  ];
}

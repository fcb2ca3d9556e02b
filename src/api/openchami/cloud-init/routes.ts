import { doorUrl } from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import type { BssParts } from "../../csm/bss/routes.ts";
import { tokenBase } from "../../asking-node.ts";
import { answer, operation, type Operation, type Service } from "../../service.ts";
import { openApiOf } from "./document.ts";
import { adminOperations, type CloudInitAdminParts } from "./admin.ts";
import { impersonationOperations, nodeOperations, type CloudInitNodeParts } from "./node.ts";

export interface CloudInitParts extends CloudInitAdminParts, CloudInitNodeParts {
  readonly version: string;
  /** `host:port` of the node door, where nodes find this service when no operator has said where. */
  readonly door: BssParts["door"];
}

const base = "/cloud-init";

const about = { name: "cloud-init", title: "OpenCHAMI cloud-init server" };

/** OpenCHAMI's cloud-init server, all of it, for the administrators' door. */
export function cloudInitService(parts: CloudInitParts): Service {
  const homeOf = () => doorUrl(parts.door()) + base;
  const operations = [
    ...adminOperations(parts),
    ...impersonationOperations(parts, homeOf),
    ...nodeOperations(parts, homeOf),
  ];
  return {
    ...about,
    bases: [base],
    operations: [...operations, ...aboutOperations(parts, operations)],
    refused: [wireguard()],
  };
}

/** What of it nodes may ask for, at the node door. */
export function cloudInitNodeSide(parts: CloudInitNodeParts & Pick<CloudInitParts, "version">): Service {
  // As the node reached this door, it reaches it again.
  const operations = nodeOperations(parts, ({ header }) => doorUrl(header("host") ?? "") + base);
  return {
    ...about,
    bases: [base, base + tokenBase],
    operations: [...operations, ...aboutOperations(parts, operations)],
    refused: [wireguard()],
  };
}

/** `ochami cloud-init service` asks these without a token. */
function aboutOperations({ version }: Pick<CloudInitParts, "version">, operations: readonly Operation[]): Operation[] {
  return [
    operation({
      id: "GET /version",
      method: "GET",
      path: "/version",
      open: true,
      run: async () => answer(200, { process_name: "netkiln", build_info: `Version: ${version}` }),
    }),
    operation({
      id: "GET /openapi.json",
      method: "GET",
      path: "/openapi.json",
      open: true,
      run: async () => answer(200, openApiOf(about.title, version, base, operations)),
    }),
  ];
}

/** A tunnel that does not come up must not look like one that does. */
function wireguard(): Operation {
  return operation({
    id: "POST /wg-init",
    method: "POST",
    path: "/wg-init",
    open: true,
    run: async () => {
      throw new NetkilnError("invalid_input", "there is no WireGuard server here, so no tunnel can be made", {
        hint: "boot without one: nodes fetch their data over the boot network",
      });
    },
  });
}

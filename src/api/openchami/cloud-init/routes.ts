import { doorUrl } from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import type { BssParts } from "../../csm/bss/routes.ts";
import { tokenBase } from "../../asking-node.ts";
import { openApiDocument } from "../../openapi/document.ts";
import { answer, operation, routesOf, type Operation, type Service } from "../../service.ts";
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
  return describing(parts, { ...about, bases: [base], operations, refused: [wireguard()] });
}

/** What of it nodes may ask for, at the node door. */
export function cloudInitNodeSide(parts: CloudInitNodeParts & Pick<CloudInitParts, "version">): Service {
  // As the node reached this door, it reaches it again.
  const operations = nodeOperations(parts, ({ header }) => doorUrl(header("host") ?? "") + base);
  return describing(parts, { ...about, bases: [base, base + tokenBase], operations, refused: [wireguard()] });
}

/** With what `ochami cloud-init service` asks without a token: the version, and a document of the service. */
function describing({ version }: Pick<CloudInitParts, "version">, service: Service): Service {
  const description = `As netkiln serves it below ${base}.`;
  const get = (path: string, body: () => object) =>
    operation({ id: `GET ${path}`, method: "GET", path, open: true, run: async () => answer(200, body()) });
  let document: object | undefined;
  const describe = () => {
    const routes = routesOf(whole).filter(({ notes }) => notes.isAlias !== true);
    // As at a door that wants tokens: who needs none may bring one.
    const door = { requireToken: true, openReads: false };
    return openApiDocument(routes, { sections: [whole], door }, { title: about.title, version, description, base });
  };
  const whole: Service = {
    ...service,
    operations: [
      ...service.operations,
      get("/version", () => ({ process_name: "netkiln", build_info: `Version: ${version}` })),
      get("/openapi.json", () => (document ??= describe())),
    ],
  };
  return whole;
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

import {
  emptyCloudConfig,
  groupConfigOf,
  hearPhoneHome,
  metaDataOf,
  vendorDataOf,
  type NodeIdentities,
  type PhoneHomeParts,
} from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { formatYaml } from "../../../lib/yaml.ts";
import type { Node, NodeStore } from "../../../node/index.ts";
import { askingNode } from "../../asking-node.ts";
import { parsePhoneHome, phoneHomeBytes, phoneHomeSchema } from "../../phone-home.ts";
import { answer, operation, type Answer, type Asked, type Operation } from "../../service.ts";

export interface CloudInitNodeParts extends PhoneHomeParts {
  readonly identities: NodeIdentities;
  readonly nodes: NodeStore;
}

type Request = Asked<unknown, unknown>;

/** Where this service is for whoever asks, where no operator has said it. */
export type HomeOf = (asked: Request) => string;

/** The four things that a node fetches, whoever asks for them. */
interface NodeView {
  /** Begins ids and paths. */
  readonly below: string;
  /** The node, if there is one, and what stands in its links behind the base URL. */
  readonly find: (asked: Request) => Promise<{ readonly node: Node | undefined; readonly linkPart: string }>;
  readonly open: boolean;
}

/** What a node asks for: who it is, its address or its boot's token says. */
export function nodeOperations(parts: CloudInitNodeParts, homeOf: HomeOf): Operation[] {
  const ask = async (asked: Request) => {
    const node = await askingNode(parts.identities, asked);
    if (node !== undefined) {
      const token = asked.params["token"];
      return { node, linkPart: token === undefined ? "" : `/boots/${token}` };
    }
    throw new NetkilnError("unprocessable", `no node of the inventory has the address ${asked.address ?? "(none)"}`, {
      hint: "give the node's interface this address, or let the node show the token of its boot",
    });
  };
  return [
    ...viewOperations(parts, homeOf, { below: "", find: ask, open: true }),
    operation({
      id: "POST /phone-home/{id}",
      method: "POST",
      path: "/phone-home/{id}",
      body: phoneHomeSchema,
      parseBody: parsePhoneHome,
      bodyLimit: phoneHomeBytes,
      open: true,
      run: async (asked) => {
        const { node } = await ask(asked);
        // What stands in the path is mostly an instance id, which names nobody here.
        const named = await parts.nodes.find(asked.params["id"] ?? "");
        if (named !== undefined && named.xname !== node.xname) {
          throw new NetkilnError("invalid_input", `${node.xname} cannot speak for ${named.xname}`);
        }
        await hearPhoneHome(parts, node, asked.body);
        return answer(200);
      },
    }),
  ];
}

/** The same as some node gets it, for an administrator who names it. */
export function impersonationOperations(parts: CloudInitNodeParts, homeOf: HomeOf): Operation[] {
  const find = async ({ params }: Request) => ({ node: await parts.nodes.find(params["id"] ?? ""), linkPart: "" });
  return viewOperations(parts, homeOf, { below: "/admin/impersonation/{id}", find, open: false });
}

function viewOperations(parts: CloudInitNodeParts, homeOf: HomeOf, { below, find, open }: NodeView): Operation[] {
  const get = (name: string, run: (asked: Request) => Promise<Answer>) =>
    operation({ id: `GET ${below}${name}`, method: "GET", path: `${below}${name}`, open, run });
  const look = async (asked: Request) => {
    const { node, linkPart } = await find(asked);
    if (node === undefined) throw new NetkilnError("not_found", `there is no node ${asked.params["id"]}`);
    const settings = await parts.cloudInit.forNode(node.xname, node.groups);
    const baseUrl = settings.instance.baseUrl ?? settings.defaults.baseUrl ?? homeOf(asked);
    return { node, settings, baseUrl: `${baseUrl}${linkPart}` };
  };
  return [
    get("/meta-data", async (asked) => {
      const { node, settings, baseUrl } = await look(asked);
      return text(formatYaml(metaDataOf(node, settings, baseUrl)), "application/x-yaml");
    }),
    // The same for everybody: what nodes get is in the files of their groups.
    get("/user-data", async () => text(emptyCloudConfig)),
    get("/vendor-data", async (asked) => {
      // The contract knows no failure here: what is no node is in no group.
      if ((await find(asked)).node === undefined) return text(vendorDataOf([], ""));
      const { node, baseUrl } = await look(asked);
      return text(vendorDataOf(node.groups, baseUrl));
    }),
    get("/{group}.yaml", async (asked) => {
      const group = asked.params["group"] ?? "";
      const { node, settings } = await look(asked);
      if (node.groups.includes(group)) return text(groupConfigOf(settings.groups.get(group)?.file));
      throw new NetkilnError("not_found", `${node.xname} is in no group ${group}`);
    }),
  ];
}

function text(body: string | Buffer, type = "text/plain"): Answer {
  return { status: 200, body, type };
}

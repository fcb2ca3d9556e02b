import { z } from "zod";
import {
  drill,
  emptyCloudConfig,
  entryMetaData,
  entryUserData,
  hearPhoneHome,
  printCloudConfig,
  type AccessLog,
  type BootEntry,
  type BootEntryStore,
  type EntryNames,
  type NodeIdentities,
  type PhoneHomeParts,
} from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { askingNode, tokenBase } from "../../asking-node.ts";
import { parsePhoneHome, phoneHomeBytes, phoneHomeSchema } from "../../phone-home.ts";
import { answer, operation, type Operation, type Service } from "../../service.ts";

export interface BssCloudInitParts extends PhoneHomeParts {
  readonly entries: BootEntryStore;
  readonly identities: NodeIdentities;
  readonly accesses: AccessLog;
}

const metaDataQuery = z.object({ key: z.string().min(1).optional() });

/** The cloud-init objects of boot parameters, for the node that asks. */
export function cloudInitOperations(parts: BssCloudInitParts): Operation[] {
  const { entries, identities, accesses } = parts;
  return [
    operation({
      id: "meta_data_get",
      method: "GET",
      path: "/meta-data",
      query: metaDataQuery,
      run: async (asked) => {
        const data = await entryMetaData(entries, await askingNode(identities, asked));
        const { key } = asked.query;
        const wanted = key === undefined ? data : drill(data, key);
        if (wanted !== undefined) return answer(200, wanted);
        throw new NetkilnError("not_found", `the meta-data have no ${key}`);
      },
    }),
    operation({
      id: "user_data_get",
      method: "GET",
      path: "/user-data",
      run: async (asked) => {
        const node = await askingNode(identities, asked);
        if (node !== undefined) accesses.note(node.xname, "user-data");
        const data = await entryUserData(entries, node);
        return { status: 200, body: printCloudConfig(data), type: "text/yaml" };
      },
    }),
    operation({
      id: "phone_home_post",
      method: "POST",
      path: "/phone-home",
      body: phoneHomeSchema,
      parseBody: parsePhoneHome,
      bodyLimit: phoneHomeBytes,
      run: async (asked) => {
        const node = await askingNode(identities, asked);
        if (node === undefined) {
          throw new NetkilnError("not_found", `no node of the inventory has the address ${asked.address ?? "(none)"}`);
        }
        await hearPhoneHome(parts, node, asked.body);
        const own = await entries.get("host", node.xname);
        const cloudInit = { ...own?.cloudInit, "phone-home": asked.body };
        // Only this: somebody may have changed the rest meanwhile.
        if (own !== undefined) await entries.patch(namesOf(own), { cloudInit: { "phone-home": asked.body } });
        return answer(200, { hosts: [node.xname], "cloud-init": cloudInit });
      },
    }),
  ];
}

function namesOf({ kind, name }: BootEntry): EntryNames {
  return {
    hosts: kind === "host" ? [name] : [],
    macs: kind === "mac" ? [name] : [],
    nids: kind === "nid" ? [Number(name)] : [],
  };
}

/** What cloud-init looks for below `ds=nocloud-net;s=http://DOOR/`, at the node door. */
export function bssNodeSide(parts: BssCloudInitParts): Service {
  return {
    name: "bss",
    title: "Boot Script Service",
    bases: ["", "/apis/bss", tokenBase],
    operations: [
      ...cloudInitOperations(parts),
      operation({
        id: "GET /vendor-data",
        method: "GET",
        path: "/vendor-data",
        // The Boot Script Service has none, and cloud-init would ask ten times.
        run: async () => ({ status: 200, body: emptyCloudConfig, type: "text/plain" }),
      }),
    ],
  };
}

import type { BootEntryStore, BootFileStore } from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { canonicalXname, type Component, type Inventory, type NodeStore } from "../../../node/index.ts";
import { jsonParts, rowTexts, streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { printComponent } from "../hsm/print.ts";
import { pagesOf, placeOf, printEntry, printFile } from "./parameters.ts";
import { changeSchema, filterQuerySchema } from "./schema.ts";

export interface HostParts {
  readonly nodes: NodeStore;
  readonly inventory: Inventory;
  readonly entries: BootEntryStore;
  readonly bootFiles: BootFileStore;
}

/** A node as BSS has it from HSM. */
interface Host {
  readonly component: Component;
  readonly macs: readonly string[];
}

/** The nodes that scripts are made for. BSS keeps a copy of HSM's; here it is one inventory, which is never behind. */
export function hostOperations({ nodes, inventory, entries, bootFiles }: HostParts): Operation[] {
  const pages = hostPages(inventory);
  return [
    operation({
      id: "GET /boot/v1/hosts",
      method: "GET",
      path: "/boot/v1/hosts",
      query: filterQuerySchema,
      run: async ({ query }) => {
        const names = [...query.hosts.map(canonicalXname), ...query.macs, ...query.nids.map(String)];
        if (names.length === 0) return streamList(pages, xnameOf, printHost);
        const xnames: string[] = [];
        for (const name of names) {
          const node = await nodes.find(name);
          if (node === undefined) throw new NetkilnError("not_found", `there is no host ${name}`);
          xnames.push(node.xname);
        }
        const known = new Map((await hostsNamed(inventory, xnames)).map((host) => [xnameOf(host), host]));
        // As often as it is named.
        return answer(200, xnames.flatMap((xname) => known.get(xname) ?? []).map(printHost));
      },
    }),
    operation({ id: "POST /boot/v1/hosts", method: "POST", path: "/boot/v1/hosts", run: async () => answer(204) }),
    operation({
      id: "POST /boot/v1/scn",
      method: "POST",
      path: "/boot/v1/scn",
      body: changeSchema,
      run: async () => answer(200),
    }),
    operation({
      id: "GET /boot/v1/dumpstate",
      method: "GET",
      path: "/boot/v1/dumpstate",
      run: async () => {
        const lead = (await bootFiles.list()).map(printFile);
        async function* parts() {
          yield '{"Components":[';
          yield* rowTexts(pages, xnameOf, printHost);
          yield '],"Params":[';
          yield* rowTexts(pagesOf(entries), placeOf, printEntry, { lead });
          yield "]}";
        }
        return jsonParts(parts());
      },
    }),
  ];
}

function hostPages(inventory: Inventory) {
  return async (page: { after: string | undefined; limit: number }): Promise<Host[]> =>
    withMacs(inventory, await inventory.components.list({ type: ["Node"] }, page));
}

async function hostsNamed(inventory: Inventory, xnames: readonly string[]): Promise<Host[]> {
  return withMacs(inventory, await inventory.components.list({ xnames }, { limit: xnames.length }));
}

/** More than that many interfaces no node has. */
const interfacesEach = 64;

async function withMacs({ interfaces }: Inventory, components: readonly Component[]): Promise<Host[]> {
  const xnames = components.map(({ xname }) => xname);
  const found = await interfaces.list({ xnames }, { limit: xnames.length * interfacesEach });
  const macsOf = Map.groupBy(found, ({ xname }) => xname);
  return components.map((component) => ({
    component,
    macs: (macsOf.get(component.xname) ?? []).map(({ mac }) => mac),
  }));
}

function xnameOf({ component }: Host): string {
  return component.xname;
}

function printHost({ component, macs }: Host) {
  return { ...printComponent(component), MAC: macs, EndpointEnabled: component.enabled };
}

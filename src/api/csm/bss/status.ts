import type { BootEntryStore } from "../../../boot/index.ts";
import { log } from "../../../lib/log.ts";
import type { Inventory } from "../../../node/index.ts";
import { answer, operation, type Operation } from "../../service.ts";

export interface StatusParts {
  readonly inventory: Inventory;
  readonly entries: BootEntryStore;
  readonly version: string;
}

type State = "connected" | "error";

/** Whether it lives, and whether what it needs does: here both are the one database, which is asked. */
export function statusOperations({ inventory, entries, version }: StatusParts): Operation[] {
  const hsm = () => stateOf(inventory.components.list({}, { limit: 1 }));
  const storage = () => stateOf(entries.page({ limit: 1 }));
  // Its contracts know two kinds of storage; with etcd, BSS takes the same names as we do.
  const ofStorage = (status: State) => ({ "bss-storage-backend": { name: "etcd", status } });
  const get = (path: string, run: () => Promise<{ body: object; states: readonly State[] }>) =>
    operation({
      id: `GET /boot/v1/service/${path}`,
      method: "GET",
      path: `/boot/v1/service/${path}`,
      run: async () => {
        const { body, states } = await run();
        return answer(states.includes("error") ? 500 : 200, body);
      },
    });

  return [
    get("status", async () => ({ body: { "bss-status": "running" }, states: [] })),
    get("version", async () => ({ body: { "bss-version": version }, states: [] })),
    get("hsm", async () => {
      const state = await hsm();
      return { body: { "bss-status-hsm": state }, states: [state] };
    }),
    get("etcd", async () => {
      const state = await storage();
      return { body: { "bss-status-etcd": state }, states: [state] };
    }),
    get("storage/status", async () => {
      const state = await storage();
      return { body: ofStorage(state), states: [state] };
    }),
    get("status/all", async () => {
      const [inventoryState, storageState] = [await hsm(), await storage()];
      const body = {
        "bss-status": "running",
        "bss-version": version,
        "bss-status-hsm": inventoryState,
        "bss-status-etcd": storageState,
        ...ofStorage(storageState),
      };
      return { body, states: [inventoryState, storageState] };
    }),
  ];
}

async function stateOf(asked: Promise<unknown>): Promise<State> {
  try {
    await asked;
    return "connected";
  } catch (error) {
    log.error({ error }, "the database cannot be read");
    return "error";
  }
}

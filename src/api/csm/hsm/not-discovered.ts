import { NetkilnError } from "../../../lib/errors.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { deleted, noSuch, xnameOf } from "./print.ts";

/** What HSM finds out by asking controllers. netkiln asks none, so these answer as HSM does where nothing was found. */
export function undiscoveredOperations(): Operation[] {
  const list = (id: string, path: string, empty: unknown): Operation =>
    operation({ id, method: "GET", path, run: async () => answer(200, empty) });
  const missing = (id: string, method: "GET" | "DELETE", path: string): Operation =>
    operation({
      id,
      method,
      path,
      run: async ({ params }) => {
        if (params["xname"] !== undefined) throw noSuch(xnameOf(params["xname"]));
        throw new NetkilnError("not_found", `no such FRU ID or service: ${Object.values(params).join(", ")}`);
      },
    });
  const removeAll = (id: string, path: string): Operation =>
    operation({ id, method: "DELETE", path, run: async () => deleted(0) });
  const [hardware, frus, services] = ["/Inventory/Hardware", "/Inventory/HardwareByFRU", "/Inventory/ServiceEndpoints"];
  return [
    list("doHWInvByLocationGetAll", hardware, []),
    removeAll("doHWInvByLocationDeleteAll", hardware),
    missing("doHWInvByLocationGet", "GET", `${hardware}/{xname}`),
    missing("doHWInvByLocationDelete", "DELETE", `${hardware}/{xname}`),
    missing("doHWInvByLocationQueryGet", "GET", `${hardware}/Query/{xname}`),
    list("doHWInvHistByLocationsGet", `${hardware}/History`, { Components: [] }),
    removeAll("doHWInvHistByLocationDeleteAll", `${hardware}/History`),
    missing("doHWInvHistByLocationGet", "GET", `${hardware}/History/{xname}`),
    missing("doHWInvHistByLocationDelete", "DELETE", `${hardware}/History/{xname}`),
    list("doHWInvByFRUGetAll", frus, []),
    removeAll("doHWInvByFRUDeleteAll", frus),
    missing("doHWInvByFRUGet", "GET", `${frus}/{fruid}`),
    missing("doHWInvByFRUDelete", "DELETE", `${frus}/{fruid}`),
    list("doHWInvHistByFRUsGet", `${frus}/History`, { Components: [] }),
    missing("doHWInvHistByFRUGet", "GET", `${frus}/History/{fruid}`),
    missing("doHWInvHistByFRUDelete", "DELETE", `${frus}/History/{fruid}`),
    list("doServiceEndpointsGetAll", services, { ServiceEndpoints: [] }),
    removeAll("doServiceEndpointsDeleteAll", services),
    missing("doServiceEndpointsGet", "GET", `${services}/{service}`),
    missing("doServiceEndpointGet", "GET", `${services}/{service}/RedfishEndpoints/{xname}`),
    missing("doServiceEndpointDelete", "DELETE", `${services}/{service}/RedfishEndpoints/{xname}`),
    list("doDiscoveryStatusGetAll", "/Inventory/DiscoveryStatus", [notStarted]),
    operation({
      id: "doDiscoveryStatusGet",
      method: "GET",
      path: "/Inventory/DiscoveryStatus/{id}",
      run: async ({ params }) => {
        if (params["id"] === "0") return answer(200, notStarted);
        throw new NetkilnError("not_found", `no such discovery: ${params["id"]}`);
      },
    }),
  ];
}

/** HSM always has a discovery 0. */
const notStarted = { ID: 0, Status: "NotStarted" };

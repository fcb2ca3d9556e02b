import { componentClasses, componentTypes, netTypes, nodeStates, roles, subRoles } from "../../../node/index.ts";
import { answer, operation, type Operation } from "../../service.ts";
import { done } from "./print.ts";

const values = {
  Arch: ["X86", "ARM", "Other"],
  Class: componentClasses,
  Flag: ["OK", "Warning", "Alert", "Locked"],
  NetType: netTypes,
  Role: roles,
  SubRole: subRoles,
  State: nodeStates,
  Type: componentTypes,
} as const;

/** Whether it lives, and the words that it knows. */
export function serviceOperations(): Operation[] {
  return [
    operation({
      id: "doReadyGet",
      method: "GET",
      path: "/service/ready",
      run: async () => done("HSM is healthy"),
    }),
    operation({ id: "doLivenessGet", method: "GET", path: "/service/liveness", run: async () => answer(204) }),
    operation({ id: "doValuesGet", method: "GET", path: "/service/values", run: async () => answer(200, values) }),
    ...Object.entries(values).map(([name, words]) =>
      operation({
        id: `do${name}ValuesGet`,
        method: "GET",
        path: `/service/values/${name.toLowerCase()}`,
        run: async () => answer(200, { [name]: words }),
      }),
    ),
  ];
}

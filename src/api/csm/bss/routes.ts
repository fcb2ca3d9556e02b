import { scriptPaths } from "../../../boot/index.ts";
import type { Service } from "../../service.ts";
import { cloudInitOperations, type BssCloudInitParts } from "./cloud-init.ts";
import { hostOperations, type HostParts } from "./hosts.ts";
import { parameterOperations, type ParameterParts } from "./parameters.ts";
import { scriptOperations, type ScriptParts } from "./scripts.ts";
import { statusOperations, type StatusParts } from "./status.ts";

export type BssParts = ParameterParts & ScriptParts & HostParts & StatusParts & BssCloudInitParts;

/** What the two of the name do in another way. */
const dialects = {
  csm: { name: "bss", title: "Boot Script Service", base: "/apis/bss", script: scriptPaths[1], hasFiles: true },
  openchami: {
    ...{ name: "openchami-bss", title: "Boot Script Service of OpenCHAMI" },
    ...{ base: "", script: scriptPaths[0], hasFiles: false },
  },
} as const;

/** The Boot Script Service, version 1, on the administrators' side. */
export function bssService(parts: BssParts, dialect: keyof typeof dialects = "csm"): Service {
  const { name, title, base, script, hasFiles } = dialects[dialect];
  return {
    name,
    title,
    bases: [base],
    operations: [
      ...parameterOperations(parts, { hasFiles }),
      ...scriptOperations(parts, script),
      ...hostOperations(parts),
      ...statusOperations(parts),
      ...cloudInitOperations(parts),
    ],
  };
}

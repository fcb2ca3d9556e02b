import { cloudInitService, type CloudInitParts } from "../openchami/cloud-init/routes.ts";
import type { Service } from "../service.ts";
import { bosService, type BosParts } from "./bos/routes.ts";
import { bssService, type BssParts } from "./bss/routes.ts";
import { cfsService, type CfsParts } from "./cfs/routes.ts";
import { hsmService, type HsmParts } from "./hsm/routes.ts";
import { imsService, type ImsParts } from "./ims/routes.ts";
import { pcsService, type PcsParts } from "./pcs/routes.ts";

/** What the services of CSM and OpenCHAMI need of the house. */
export type CsmParts = BosParts & BssParts & CfsParts & CloudInitParts & HsmParts & ImsParts & PcsParts;

/** Every service of CSM and OpenCHAMI that is served here. */
export function csmServices(parts: CsmParts): readonly Service[] {
  return [
    bosService(parts),
    bssService(parts),
    bssService(parts, "openchami"),
    cfsService(parts),
    cloudInitService(parts),
    hsmService(parts),
    imsService(parts),
    pcsService(parts),
  ];
}
